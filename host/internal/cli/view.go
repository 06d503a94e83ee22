package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host"
)

const (
	viewLinger = 10 * time.Second      // so long a session that has ended stays in view
	viewGather = 40 * time.Millisecond // so long a burst of events is gathered for one drawing
)

// What a terminal is told. The view has a page of its own, so that what was on the
// terminal before is there again afterwards.
const (
	enterPage  = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another page, no cursor, no wrapping
	leavePage  = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	beginFrame = "\x1b[?2026h\x1b[H" // shown at once when it is complete, where that is understood
	endFrame   = "\x1b[J\x1b[?2026l"
	endLine    = "\x1b[K"
)

// signals are what a terminal tells the process.
type signals struct{ resized, suspended, resumed chan os.Signal }

// catchSignals catches them until stop.
func catchSignals() signals {
	s := signals{make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.resized, syscall.SIGWINCH)
	signal.Notify(s.suspended, syscall.SIGTSTP)
	signal.Notify(s.resumed, syscall.SIGCONT)
	return s
}

func (s signals) stop() {
	signal.Stop(s.resized)
	signal.Stop(s.suspended)
	signal.Stop(s.resumed)
}

// view is a table of the sessions on a terminal, drawn again when something has changed
// and each second, for the TTLs.
type view struct {
	screen
	signals signals
	fail    func(error) // called once when the terminal can't be written

	mu       sync.Mutex
	sessions map[string]host.Session
	synced   bool
	trouble  string // the host is away
	progress string // of an image

	poke chan struct{}
	quit chan struct{}
	done sync.WaitGroup
}

// newView takes the terminal; close gives it back.
func newView(s screen, sig signals, fail func(error)) *view {
	v := &view{screen: s, signals: sig, fail: fail, sessions: map[string]host.Session{}, poke: make(chan struct{}, 1), quit: make(chan struct{})}
	v.done.Go(v.run)
	return v
}

// close ends the drawing, stops the signals, and brings back what was on the terminal before.
func (v *view) close() {
	close(v.quit)
	v.done.Wait()
	v.signals.stop()
}

func (v *view) event(ev host.Event) error {
	v.mu.Lock()
	v.trouble = ""
	switch ev.Type {
	case host.EventSnapshot, host.EventChanged:
		v.sessions[ev.Session.ID] = ev.Session
	case host.EventPruned:
		delete(v.sessions, ev.Session.ID)
	case host.EventSynced:
		v.synced = true
	case host.EventResync:
		clear(v.sessions)
		v.synced = false
	case host.EventProgress:
		if p := ev.Progress; p != nil {
			v.progress = fmt.Sprintf("%s: %s: %s", p.Provider, p.Image, p.Message)
		}
	}
	v.mu.Unlock()
	v.changed()
	return nil
}

func (v *view) broken(err error) {
	v.mu.Lock()
	v.trouble = err.Error()
	v.mu.Unlock()
	v.changed()
}

// changed asks for a drawing soon.
func (v *view) changed() {
	select {
	case v.poke <- struct{}{}:
	default:
	}
}

// run draws until close.
func (v *view) run() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	v.write(enterPage)
	defer v.write(leavePage)
	for {
		v.write(v.frame(time.Now()))
		select {
		case <-v.quit:
			return
		case <-v.signals.suspended: // Ctrl-Z: the shell gets its page
			v.write(leavePage)
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			<-v.signals.resumed
			v.write(enterPage)
		case <-second.C:
		case <-v.signals.resized:
		case <-v.poke:
			gather := time.NewTimer(viewGather)
			select {
			case <-v.quit:
				gather.Stop()
				return
			case <-gather.C:
			}
		}
	}
}

func (v *view) write(text string) {
	if _, err := io.WriteString(v.out, text); err != nil && v.fail != nil {
		v.fail(&exitError{exitFailed, fmt.Errorf("watch: the terminal: %w", err)})
		v.fail = nil
	}
}

// frame is one drawing, in one piece.
func (v *view) frame(now time.Time) string {
	lines := v.draw(now)
	if _, height := v.size(); height > 2 && len(lines) > height {
		left := len(lines) - (height - 1)
		lines = append(lines[:height-1], v.paint(v.cut(fmt.Sprintf("… and %d more", left)), dim))
	}
	return beginFrame + strings.Join(lines, endLine+"\r\n") + endLine + endFrame
}

// draw is what there is to see, line by line.
func (v *view) draw(now time.Time) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rows []host.Session
	count := map[host.Status]int{}
	for _, s := range v.sessions {
		if s.Ended != nil && now.Sub(s.Ended.At) > viewLinger {
			continue
		}
		rows = append(rows, s)
		count[s.Status]++
	}
	slices.SortFunc(rows, func(a, b host.Session) int { // one whose image is being prepared has no time, and is first
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	if count[host.StatusCreating] == 0 {
		v.progress = ""
	}
	lines := []string{v.paint(v.title(len(rows)-count[host.StatusEnded], count), bold), ""}
	switch {
	case v.trouble != "":
		lines[1] = v.paint(v.cut(v.trouble+"; trying again"), red)
	case v.progress != "":
		lines[1] = v.paint(v.cut(v.progress), cyan)
	}
	return append(lines, v.table(sessionColumns(), rows, now)...)
}

// title counts the sessions.
func (v *view) title(living int, of map[host.Status]int) string {
	if !v.synced {
		return "berth: reading the sessions"
	}
	parts := []string{"berth: " + count(living, "session")}
	for _, st := range []host.Status{host.StatusCreating, host.StatusRunning, host.StatusStopping, host.StatusStopped, host.StatusDeleting, host.StatusUnknown} {
		if n := of[st]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, st))
		}
	}
	return v.cut(strings.Join(parts, ", "))
}

// cut is text on one line of the screen.
func (v *view) cut(text string) string {
	text = strings.ReplaceAll(printable(text), "\n", " ")
	if w := v.width(); w > 0 && len([]rune(text)) > w {
		return string([]rune(text)[:w-1]) + "…"
	}
	return text
}
