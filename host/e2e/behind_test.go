package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// soon is how long it may take until an event of the backend has ended a session. Sweeps of
// these tests are a minute apart, so that none of them can have noticed it.
const soon = 25 * time.Second

// quiet are settings under which events alone can tell of a death in time.
func quiet() settings { return settings{lifecycle: map[string]string{"sweep_interval": `"60s"`}} }

// What ends a sandbox behind Berth's back is noticed in seconds, by events, and is kept
// with its reason.
func TestPromise1_EndsBehindItsBack(t *testing.T) { onEach(t, endsBehindItsBack) }

func endsBehindItsBack(t *testing.T, on kind) {
	for _, c := range []struct {
		name   string
		do     func(on backend, id string)
		reason host.Reason
		exit   int // -1: nobody saw it
	}{
		{"killed", backend.kill, host.ReasonExited, 137},
		{"stopped", backend.stop, host.ReasonExited, 143},
		{"removed", backend.remove, host.ReasonRemoved, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := on.site(t).configure(quiet())
			h := s.start().ready()
			v := h.create(chat())
			other := h.create(chat())
			c.do(s.on, v.SandboxID)
			e := h.ended(v.ID, soon)
			wantEnd(t, e, c.reason, c.exit)
			if !s.gone(v.SandboxID) {
				t.Error("the sandbox is left")
			}
			if now := h.get(other.ID); now.Status != host.StatusRunning {
				t.Errorf("the other session is %s", now.Status)
			}
		})
	}
}

// wantEnd judges a terminal record. An exit of -1 is one that nobody saw. A removal by
// force kills first, so that whoever asks in between sees the exit.
func wantEnd(t *testing.T, e host.Session, reason host.Reason, exit int) {
	t.Helper()
	code := -1
	if e.Ended.ExitCode != nil {
		code = *e.Ended.ExitCode
	}
	if reason == host.ReasonRemoved && e.Ended.Reason == host.ReasonExited && code == 137 {
		return
	}
	if e.Ended.Reason != reason || code != exit {
		t.Errorf("it ended %s with code %d, want %s with %d", e.Ended.Reason, code, reason, exit)
	}
}

// A sandbox that is removed while no event can come, because nothing of Berth runs, has
// been removed; one that exits by itself has exited.
func TestPromise1_EndsWhileTheHostIsDown(t *testing.T) { onEach(t, endsWhileTheHostIsDown) }

func endsWhileTheHostIsDown(t *testing.T, on kind) {
	s := on.site(t)
	c := quiet()
	c.more = s.variant("brief", map[string]string{"command": `["/agent", "-exit-after", "4s"]`}, readyTCP)
	s.configure(c)
	h := s.start().ready()
	removed := h.create(chat())
	brief := chat()
	brief.Template = "brief"
	exits := h.create(brief)
	h.kill9(s)
	s.on.remove(removed.SandboxID)
	await(t, patience, "the agent has ended by itself", func() bool { return !s.inspect(exits.SandboxID).running })
	h = s.start().ready()
	wantEndExactly(t, h.ended(removed.ID, soon), host.ReasonRemoved, -1)
	wantEndExactly(t, h.ended(exits.ID, soon), host.ReasonExited, 0)
	if list := s.sandboxes(); len(list) != 0 {
		t.Errorf("sandboxes are left: %+v", list)
	}
}

func wantEndExactly(t *testing.T, e host.Session, reason host.Reason, exit int) {
	t.Helper()
	wantEnd(t, e, reason, exit)
	if e.Ended.Reason != reason {
		t.Errorf("it ended %s, want %s", e.Ended.Reason, reason)
	}
}

// A sandbox that the kernel ended for memory says so.
func TestPromise1_OutOfMemory(t *testing.T) { onEach(t, outOfMemory) }

func outOfMemory(t *testing.T, on kind) {
	s := on.site(t)
	c := quiet()
	c.more = s.variant("hungry", map[string]string{"command": `["/agent", "-eat-memory"]`, "port": ""},
		"resources {\n  memory = \"512MiB\"\n}\n")
	s.configure(c)
	h := s.start().ready()
	req := chat()
	req.Template = "hungry"
	var v host.Session
	await(t, patience, "it came to run before it was out of memory", func() bool {
		r, err := h.do(order{Verb: "create", Create: req})
		if err == nil {
			v = *r.Session
		} else if !strings.Contains(err.Error(), "killed for memory") {
			t.Fatal(err)
		}
		return err == nil
	})
	e := h.ended(v.ID, soon)
	wantEnd(t, e, host.ReasonOOMKilled, 137)
	if !e.Ended.OOMKilled {
		t.Errorf("the record does not say that it was out of memory: %+v", *e.Ended)
	}
}

// A frozen sandbox has not ended: nothing happens to it, until its deadline.
func TestPromise4_PausedIsNotEnded(t *testing.T) { onEach(t, pausedIsNotEnded) }

func pausedIsNotEnded(t *testing.T, on kind) {
	s := on.site(t).configure(settings{lifecycle: map[string]string{"sweep_interval": `"500ms"`, "stop_grace": `"1s"`}})
	h := s.start().ready()
	v := h.lives(10 * time.Second)
	s.on.freeze(v.SandboxID)
	holds(t, v.ExpiresAt.Add(-2*time.Second), "the session runs and its sandbox is frozen", func() bool {
		return h.get(v.ID).Status == host.StatusRunning && s.inspect(v.SandboxID).frozen
	})
	s.on.thaw(v.SandboxID)
	ask(t, v, "/")
	s.on.freeze(v.SandboxID)
	e := h.ended(v.ID, time.Until(v.ExpiresAt)+lateness+patience)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) || !s.gone(v.SandboxID) {
		t.Errorf("the frozen sandbox at its deadline: %+v", *e.Ended)
	}
}
