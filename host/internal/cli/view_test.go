package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host"
)

// terminal is one that remembers what it was told.
type terminal struct {
	mu            sync.Mutex
	writes        []string
	width, height int
	broken        error
}

func (p *terminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, string(b))
	return len(b), p.broken
}

func (p *terminal) resize(width, height int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.width, p.height = width, height
}

func (p *terminal) screen() screen {
	return screen{out: p, plain: true, size: func() (int, int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.width, p.height
	}}
}

// shown is what the last drawing shows, and how many writes there were.
func (p *terminal) shown() (string, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.writes) - 1; i >= 0; i-- {
		if frame, ok := strings.CutPrefix(p.writes[i], beginFrame); ok {
			frame = strings.TrimSuffix(frame, endFrame)
			return strings.ReplaceAll(strings.ReplaceAll(frame, endLine, ""), "\r\n", "\n"), len(p.writes)
		}
	}
	return "", len(p.writes)
}

func (p *terminal) wants(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got, _ := p.shown(); got != strings.Join(want, "\n") {
		t.Errorf("%s: the terminal shows\n%s\nwant\n%s", when, got, strings.Join(want, "\n"))
	}
}

// later is when d has passed in the bubble, and what that has brought about is done.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func running(i int, left time.Duration) host.Session {
	return host.Session{ID: fmt.Sprintf("%08d-55d1-4c8e-9d0a-1f2e3d4c5b6a", i), ChatID: "6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f", Template: "default",
		Status: host.StatusRunning, CreatedAt: time.Now().Add(time.Duration(i) * time.Millisecond), ExpiresAt: time.Now().Add(left)}
}

func TestViewFollowsTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &terminal{width: 120, height: 10}
		resized := make(chan os.Signal, 1)
		v := newView(p.screen(), signals{resized: resized}, nil)
		empty := "SESSION  CHAT  AGENT  TEMPLATE  STATUS  TTL LEFT  ENDPOINT"
		p.wants(t, "at first", "berth: reading the sessions", "", empty)

		one, two := running(1, 65*time.Second), running(2, 4*time.Second)
		v.event(host.Event{Type: host.EventSnapshot, Session: two})
		v.event(host.Event{Type: host.EventSnapshot, Session: one})
		old := running(3, time.Minute)
		old.Status, old.Ended = host.StatusEnded, &host.End{Reason: host.ReasonExpired, At: time.Now().Add(-time.Hour)}
		v.event(host.Event{Type: host.EventSnapshot, Session: old})
		v.event(host.Event{Type: host.EventSynced})
		synctest.Wait()
		if _, n := p.shown(); n != 2 { // the page was entered and drawn once: the burst is being gathered
			t.Errorf("%d writes", n)
		}
		later(viewGather)
		p.wants(t, "with a snapshot", "berth: 2 sessions, 2 running", "", wideHead,
			one.ID+"  "+one.ChatID+"  -      default   running  1m4s      -",
			two.ID+"  "+two.ChatID+"  -      default   running  3s        -")
		if _, n := p.shown(); n != 3 {
			t.Errorf("%d writes", n)
		}

		// TTLs run down by themselves, and never below nothing.
		later(5 * time.Second)
		p.wants(t, "later", "berth: 2 sessions, 2 running", "", wideHead,
			one.ID+"  "+one.ChatID+"  -      default   running  1m0s      -",
			two.ID+"  "+two.ChatID+"  -      default   running  0s        -")

		// A narrower terminal.
		p.resize(50, 10)
		resized <- syscall.SIGWINCH
		p.wants(t, "narrow", "berth: 2 sessions, 2 running", "", "SESSION                               STATUS",
			one.ID+"  running", two.ID+"  running")
		p.resize(120, 10)

		// What has ended stays in view for a while.
		two.Status, two.Ended = host.StatusEnded, &host.End{Reason: host.ReasonExpired, At: time.Now()}
		v.event(host.Event{Type: host.EventChanged, Session: two})
		later(time.Second)
		if got, _ := p.shown(); !strings.Contains(got, "berth: 1 session, 1 running") || !strings.Contains(got, two.ID+"  6f1c1f9e  -      default   ended (expired)  -") {
			t.Errorf("after the end:\n%s", got)
		}
		later(viewLinger)
		if got, _ := p.shown(); strings.Contains(got, two.ID) || !strings.Contains(got, one.ID) {
			t.Errorf("long after the end:\n%s", got)
		}

		// The host goes away and comes back.
		v.broken(errors.New("watch: no host\nanswers"))
		later(viewGather)
		if got, _ := p.shown(); !strings.Contains(got, "\nwatch: no host answers; trying again\n") || !strings.Contains(got, one.ID) {
			t.Errorf("without a host:\n%s", got)
		}
		v.event(host.Event{Type: host.EventResync})
		later(viewGather)
		p.wants(t, "after a resync", "berth: reading the sessions", "", empty)
		v.event(host.Event{Type: host.EventSnapshot, Session: one})
		v.event(host.Event{Type: host.EventSynced})
		v.event(host.Event{Type: host.EventPruned, Session: one})
		later(viewGather)
		p.wants(t, "when it is pruned", "berth: 0 sessions", "", empty)

		v.close()
		if first, last := p.writes[0], p.writes[len(p.writes)-1]; first != enterPage || last != leavePage {
			t.Errorf("the page was entered with %q and left with %q", first, last)
		}
	})
}

const wideHead = "SESSION                               CHAT                                  AGENT  TEMPLATE  STATUS   TTL LEFT  ENDPOINT"

func TestViewTellsOfImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &terminal{width: 140, height: 10}
		v := newView(p.screen(), signals{}, nil)
		defer v.close()
		s := host.Session{ID: "a", Status: host.StatusCreating}
		v.event(host.Event{Type: host.EventSynced})
		v.event(host.Event{Type: host.EventChanged, Session: s})
		v.event(host.Event{Type: host.EventProgress, Progress: &host.Progress{Provider: "docker", Image: "agent:1", Message: "3 of 9 layers"}})
		later(viewGather)
		if got, _ := p.shown(); !strings.HasPrefix(got, "berth: 1 session, 1 creating\ndocker: agent:1: 3 of 9 layers\n") {
			t.Errorf("while an image is pulled:\n%s", got)
		}
		s.Status = host.StatusRunning
		v.event(host.Event{Type: host.EventChanged, Session: s})
		later(viewGather)
		if got, _ := p.shown(); strings.Contains(got, "layers") {
			t.Errorf("when it runs:\n%s", got)
		}
	})
}

// More sessions than lines: the drawing never scrolls.
func TestViewFitsTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &terminal{width: 140, height: 6}
		v := newView(p.screen(), signals{}, nil)
		defer v.close()
		for i := range 20 {
			v.event(host.Event{Type: host.EventSnapshot, Session: running(i, time.Minute)})
		}
		later(viewGather)
		got, _ := p.shown()
		lines := strings.Split(got, "\n")
		if len(lines) != 6 || lines[5] != "… and 18 more" {
			t.Errorf("%d lines:\n%s", len(lines), got)
		}
	})
}

// A terminal that is gone ends the watch.
func TestViewWithoutItsTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &terminal{width: 140, height: 6, broken: errors.New("input/output error")}
		var told []error
		v := newView(p.screen(), signals{}, func(err error) { told = append(told, err) })
		later(5 * time.Second)
		v.close()
		if len(told) != 1 || !strings.Contains(told[0].Error(), "the terminal: input/output error") {
			t.Errorf("told %v", told)
		}
	})
}
