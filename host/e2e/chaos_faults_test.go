//go:build chaos && linux

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// trouble is something that is done to a lane, and undone. give reports whether it happened.
type trouble struct {
	name string
	give func(*lane) bool
}

// moments are the faults that are given at random moments on every lane, beside those of
// its ground.
var moments = []trouble{
	{"kill -9 host", func(l *lane) bool { l.killHost(); l.linger(); return l.revive() }},
	{"kill -9 plugin", func(l *lane) bool { return l.signalPlugin(syscall.SIGKILL) }},
	{"kill -9 both", func(l *lane) bool {
		done := l.signalPlugin(syscall.SIGKILL)
		l.killHost()
		return l.revive() && done
	}},
	{"stop plugin", func(l *lane) bool { return l.signalPlugin(syscall.SIGSTOP) }},
	{"stop host", func(l *lane) bool {
		pid := l.hostPID()
		if syscall.Kill(pid, syscall.SIGSTOP) != nil {
			return false
		}
		l.pause(between(l.rng, 50*time.Millisecond, 3*time.Second))
		return syscall.Kill(pid, syscall.SIGCONT) == nil
	}},
	{"disk full", (*lane).fillDisk},
	{"clock stepped", (*lane).stepClock},
}

// linger waits for a moment, or for some seconds.
func (l *lane) linger() {
	if l.rng.IntN(2) == 0 {
		l.pause(between(l.rng, 0, 300*time.Millisecond))
	} else {
		l.pause(between(l.rng, 300*time.Millisecond, 4*time.Second))
	}
}

// anchored makes sure of a session that outlives the run, and that no client touches.
func (l *lane) anchored() bool {
	l.model.mu.Lock()
	live := l.anchor != nil && l.model.live(l.anchor, time.Now())
	l.model.mu.Unlock()
	if live {
		return true
	}
	l.anchor = l.model.want(uuid.NewString(), uuid.NewString(), "anchor", 3*time.Hour)
	for range 5 {
		ctx, cancel := context.WithTimeout(l.ctx, chaosCall)
		asked := l.model.try(l.anchor)
		v, err := l.client.Create(ctx, l.anchor.request("default"))
		cancel()
		if err == nil {
			l.model.runs(v, "create", asked)
			l.model.unheard(l.anchor)
			return true
		}
		l.pause(time.Second)
	}
	l.model.unheard(l.anchor)
	return false
}

// signalPlugin sends a signal to the plugin that runs now.
func (l *lane) signalPlugin(sig syscall.Signal) bool {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if pid, _ := strconv.Atoi(filepath.Base(dir)); err == nil && strings.HasPrefix(exe, l.s.path("state")+"/") {
			return syscall.Kill(pid, sig) == nil
		}
	}
	return false
}

// harm does something to the sandbox of a session that has to live.
func (l *lane) harm(what string) bool {
	var p *promise
	for end := time.Now().Add(5 * time.Second); p == nil && time.Now().Before(end) && l.pause(50*time.Millisecond); {
		p = l.model.anyLive()
	}
	if p == nil {
		return false
	}
	l.model.harm(what, p)
	ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
	defer cancel()
	return l.on.harm(ctx, what, p.sandbox)
}

// clock sets the host's wall clock, and the plugin's, ahead of the true time.
func (l *lane) clock(step time.Duration) {
	l.model.stepTo(step)
	path := filepath.Join(l.s.dir, "clock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) // the same file: it is mapped
	if err == nil {
		_, err = f.WriteAt(clockBytes(step), 0)
		err = firstError(err, f.Close())
	}
	if err != nil {
		l.broke("set the clock: %v", err)
	}
	l.model.stepTo(step)
}

// stepClock sets the wall clock by some seconds, and back; a host may start in between.
func (l *lane) stepClock() bool {
	step := between(l.rng, 1, 15) * time.Second
	if l.rng.IntN(2) == 0 {
		step = -step
	}
	l.clock(step)
	l.linger()
	if l.rng.IntN(2) == 0 {
		l.killHost()
		l.revive()
		l.linger()
	}
	l.clock(0)
	return true
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
