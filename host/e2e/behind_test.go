package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/host"
)

// soon is how long it may take until an event of the daemon has ended a session. Sweeps of
// these tests are a minute apart, so that none of them can have noticed it.
const soon = 25 * time.Second

// quiet are settings under which events alone can tell of a death in time.
func quiet() settings { return settings{lifecycle: map[string]string{"sweep_interval": `"60s"`}} }

// What ends a sandbox behind Berth's back is noticed in seconds, by events, and is kept
// with its reason.
func TestPromise1_EndsBehindItsBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(ctx context.Context, id string) error
		reason host.Reason
		exit   int // -1: nobody saw it
	}{
		{"killed", func(ctx context.Context, id string) error { return world.api.ContainerKill(ctx, id, "KILL") }, host.ReasonExited, 137},
		{"stopped", func(ctx context.Context, id string) error {
			return world.api.ContainerStop(ctx, id, container.StopOptions{})
		}, host.ReasonExited, 143},
		{"removed", func(ctx context.Context, id string) error {
			return world.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true})
		}, host.ReasonRemoved, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).configure(quiet())
			h := s.start().ready()
			v := h.create(chat())
			other := h.create(chat())
			if err := c.do(t.Context(), v.SandboxID); err != nil {
				t.Fatal(err)
			}
			e := h.ended(v.ID, soon)
			wantEnd(t, e, c.reason, c.exit)
			if !gone(t, world.api, v.SandboxID) {
				t.Error("the container is left")
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
func TestPromise1_EndsWhileTheHostIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := quiet()
	c.more = s.variant("brief", map[string]string{"command": `["/agent", "-exit-after", "4s"]`}, readyTCP)
	s.configure(c)
	h := s.start().ready()
	removed := h.create(chat())
	brief := chat()
	brief.Template = "brief"
	exits := h.create(brief)
	h.kill9(s)
	remove(t, world.api, removed.SandboxID)
	await(t, patience, "the agent has ended by itself", func() bool { return !inspect(t, exits.SandboxID).State.Running })
	h = s.start().ready()
	wantEndExactly(t, h.ended(removed.ID, soon), host.ReasonRemoved, -1)
	wantEndExactly(t, h.ended(exits.ID, soon), host.ReasonExited, 0)
	if list := s.sandboxes(); len(list) != 0 {
		t.Errorf("containers are left: %+v", list)
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
func TestPromise1_OutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
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
func TestPromise4_PausedIsNotEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t).configure(settings{lifecycle: map[string]string{"sweep_interval": `"500ms"`, "stop_grace": `"1s"`}})
	h := s.start().ready()
	v := h.lives(7 * time.Second)
	if err := world.api.ContainerPause(t.Context(), v.SandboxID); err != nil {
		t.Fatal(err)
	}
	holds(t, v.ExpiresAt.Add(-2*time.Second), "the session runs and its container is paused", func() bool {
		return h.get(v.ID).Status == host.StatusRunning && inspect(t, v.SandboxID).State.Paused
	})
	if err := world.api.ContainerUnpause(t.Context(), v.SandboxID); err != nil {
		t.Fatal(err)
	}
	ask(t, v, "/")
	if err := world.api.ContainerPause(t.Context(), v.SandboxID); err != nil {
		t.Fatal(err)
	}
	e := h.ended(v.ID, time.Until(v.ExpiresAt)+lateness+patience)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) || !gone(t, world.api, v.SandboxID) {
		t.Errorf("the paused sandbox at its deadline: %+v", *e.Ended)
	}
}
