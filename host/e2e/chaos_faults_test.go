//go:build chaos && linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"
)

// trouble is something that is done to a lane, and undone. give reports whether it happened.
type trouble struct {
	name string
	give func(*lane) bool
}

// moments are the faults that are given at random moments, on every lane.
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
	{"connection cut", func(l *lane) bool { l.gate.cut(); l.linger(); l.gate.lead(l.target()); return true }},
	{"connection slow", func(l *lane) bool {
		l.gate.slow(l.target(), between(l.rng, 20*time.Millisecond, 400*time.Millisecond))
		l.pause(between(l.rng, time.Second, 5*time.Second))
		l.gate.lead(l.target())
		return true
	}},
	{"connection hangs", func(l *lane) bool {
		l.gate.hush()
		l.pause(between(l.rng, time.Second, 6*time.Second))
		l.gate.lead(l.target())
		return true
	}},
	{"another daemon", func(l *lane) bool {
		if !l.anchored() {
			return false // a provider without sessions takes any backend for its own
		}
		l.gate.lead(l.other)
		l.pause(between(l.rng, 200*time.Millisecond, 6*time.Second))
		l.gate.lead(l.target())
		return true
	}},
	{"container killed", func(l *lane) bool { return l.harm("killed") }},
	{"container removed", func(l *lane) bool { return l.harm("removed") }},
	{"container paused", func(l *lane) bool { return l.harm("paused") }},
	{"disk full", (*lane).fillDisk},
	{"clock stepped", (*lane).stepClock},
}

// onDaemon are those that need a daemon of the lane's own.
var onDaemon = []trouble{
	{"stop daemon", func(l *lane) bool {
		pid := l.daemon.cmd.Process.Pid
		if syscall.Kill(pid, syscall.SIGSTOP) != nil {
			return false
		}
		l.pause(between(l.rng, 200*time.Millisecond, 7*time.Second))
		return syscall.Kill(pid, syscall.SIGCONT) == nil
	}},
	{"kill -9 daemon, live-restore", func(l *lane) bool { return l.killDaemon(true) }},
	{"kill -9 daemon", func(l *lane) bool { return l.killDaemon(false) }},
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
		l.model.try(l.anchor)
		v, err := l.client.Create(ctx, l.anchor.request("default"))
		cancel()
		if err == nil {
			l.model.runs(v, "create")
			l.model.unheard(l.anchor)
			return true
		}
		l.pause(time.Second)
	}
	l.model.unheard(l.anchor)
	return false
}

func (l *lane) target() string {
	if l.daemon != nil {
		return "unix://" + l.daemon.socket()
	}
	return world.api.DaemonHost()
}

// slow is lead to a daemon that is far away: each piece that passes waits for so long.
func (g *gate) slow(target string, delay time.Duration) { g.open(target, false, delay) }

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

// harm does something to the container of a session that has to live.
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
	switch what {
	case "killed":
		return l.api.ContainerKill(ctx, p.sandbox, "KILL") == nil
	case "removed":
		return l.api.ContainerRemove(ctx, p.sandbox, container.RemoveOptions{Force: true}) == nil
	}
	if l.api.ContainerPause(ctx, p.sandbox) != nil {
		return false
	}
	if l.rng.IntN(2) == 0 { // else it stays so, and goes at its deadline all the same
		l.linger()
		_ = l.api.ContainerUnpause(ctx, p.sandbox)
	}
	return true
}

// killDaemon kills the private daemon and starts it again. With live-restore the
// containers go on; without, the new daemon ends them.
func (l *lane) killDaemon(restore bool) bool {
	if !restore {
		l.model.forgetDecoys()
		l.model.harm("daemon restarted")
	}
	l.daemon.configure(fmt.Sprintf(`{"live-restore": %v}`, restore))
	l.daemon.kill9()
	l.linger()
	if !restore {
		l.model.harm("daemon restarted")
	}
	l.daemon.start()
	if !restore {
		l.model.harm("daemon restarted")
		l.makeForeign()
	}
	return true
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
