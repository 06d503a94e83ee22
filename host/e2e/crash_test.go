package e2e

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// lateness is what a reap may come after its deadline on a busy machine.
const lateness = 20 * time.Second

// An acknowledged extension survives kill -9 of the host, of the plugin, and of both.
func TestPromise3_ExtensionSurvivesKill(t *testing.T) { onEach(t, extensionSurvivesKill) }

func extensionSurvivesKill(t *testing.T, on kind) {
	for _, c := range []struct {
		name         string
		host, plugin bool
	}{{"host", true, false}, {"plugin", false, true}, {"both", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := on.site(t).configure(settings{})
			h := s.start().ready()
			v := h.lives(5 * time.Second)
			was := v.ExpiresAt
			v = h.extend(v.ID, 8*time.Second)
			if c.plugin {
				killPlugin(t, h, !c.host)
			}
			if c.host {
				h.kill9(s)
				h = s.start().ready()
			}
			now := h.get(v.ID)
			if now.Status != host.StatusRunning || now.SandboxID != v.SandboxID || !now.ExpiresAt.Equal(v.ExpiresAt) || *now.Endpoint != *v.Endpoint {
				t.Fatalf("after the crash %+v, before it %+v", now, v)
			}
			if !time.Now().Before(was) {
				t.Log("the first deadline had passed before the host was back")
			}
			holds(t, v.ExpiresAt, "the sandbox answers", func() bool { _, err := try(v, "/healthz"); return err == nil })
			wantExpired(t, h, v)
		})
	}
}

// killPlugin kills the plugin of the place and, where the host lives on, waits for the next one.
func killPlugin(t *testing.T, h *remote, replaced bool) {
	t.Helper()
	before := h.plugin()
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !replaced {
		return
	}
	await(t, patience, "the plugin was replaced", func() bool {
		p := h.plugin()
		return p.Generation > before.Generation && p.State == "ready"
	})
}

// wantExpired waits for the reap of a session whose deadline is near, and judges it.
func wantExpired(t *testing.T, h *remote, v host.Session) {
	t.Helper()
	e := h.ended(v.ID, time.Until(v.ExpiresAt)+lateness)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) {
		t.Errorf("it ended %v after its deadline: %+v", e.Ended.At.Sub(v.ExpiresAt), *e.Ended)
	}
	if !h.s.gone(v.SandboxID) {
		t.Error("the session has ended and its sandbox is there")
	}
}

// What expired while no host ran is reaped when one starts.
func TestPromise2_ExpiredWhileTheHostWasDown(t *testing.T) { onEach(t, expiredWhileTheHostWasDown) }

func expiredWhileTheHostWasDown(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	long := h.create(chat())
	v := h.lives(4 * time.Second)
	h.kill9(s)
	await(t, patience, "the deadline has passed", func() bool { return time.Now().After(v.ExpiresAt.Add(500 * time.Millisecond)) })
	if !s.inspect(v.SandboxID).running {
		t.Error("no host ran, and the sandbox has ended")
	}
	h = s.start().ready()
	wantExpired(t, h, v)
	if now := h.get(long.ID); now.Status != host.StatusRunning || now.SandboxID != long.SandboxID {
		t.Errorf("the session with a later deadline: %+v", now)
	}
	ask(t, long, "/")
}

// A host that is killed while it creates leaves a session that runs, or nothing.
func TestPromise5_HostKilledInMidCreate(t *testing.T) { onEach(t, hostKilledInMidCreate) }

func hostKilledInMidCreate(t *testing.T, on kind) {
	for name, reached := range map[string]func(*site) bool{
		"at once":   func(*site) bool { return true },
		"directory": func(s *site) bool { return len(s.entries("chats")) > 0 },
		"lease":     func(s *site) bool { return leased(s) },
		"sandbox":   func(s *site) bool { return len(s.sandboxes()) > 0 },
		"running": func(s *site) bool {
			list := s.sandboxes()
			return len(list) > 0 && list[0].running
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on.site(t).configure(settings{})
			h := s.start().ready()
			req := chat()
			req.SessionID = uuid.NewString()
			if _, err := h.send(order{Verb: "create", Create: req}); err != nil {
				t.Fatal(err)
			}
			await(t, patience, "the create has come as far as "+name, func() bool { return reached(s) })
			h.kill9(s)
			atKill := len(s.sandboxes())
			s.configure(brisk()) // what never came to be is given up soon
			h = s.start().ready()
			wantSettled(t, s, h, req, atKill)
			h.terminate()

			// The same request again: the same session, or a new try of it.
			h = s.configure(settings{}).start().ready()
			ask(t, h.create(req), "/")
			if n := len(s.sandboxes()); n != 1 {
				t.Errorf("%d sandboxes, want 1", n)
			}
		})
	}
}

// leased reports whether the lease store was written after the chat's directory was made:
// the intent to create is on disk.
func leased(s *site) bool {
	store, err := os.Stat(s.path("state/leases.db"))
	chats, err2 := os.Stat(s.path("chats"))
	return err == nil && err2 == nil && len(s.entries("chats")) > 0 && store.ModTime().After(chats.ModTime())
}

// A sandbox that is up and not ready when the host dies is given its time again, and then
// goes.
func TestPromise5_HostKilledBeforeReady(t *testing.T) { onEach(t, hostKilledBeforeReady) }

func hostKilledBeforeReady(t *testing.T, on kind) {
	s := on.site(t)
	s.configure(settings{
		more: s.variant("deaf", map[string]string{"command": `["/agent", "-never-listen"]`},
			"ready {\n  tcp = true\n  timeout = \"8s\"\n}\n"),
	})
	h := s.start().ready()
	req := chat()
	req.Template, req.SessionID = "deaf", uuid.NewString()
	if _, err := h.send(order{Verb: "create", Create: req}); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the sandbox runs", func() bool {
		list := s.sandboxes()
		return len(list) == 1 && list[0].running
	})
	h.kill9(s)
	h = s.start().ready()
	e := h.ended(req.SessionID, patience)
	if e.Ended.Reason != host.ReasonFailed || !strings.Contains(e.Ended.Message, "not ready") {
		t.Errorf("it ended: %+v", *e.Ended)
	}
	if list := s.sandboxes(); len(list) != 0 {
		t.Errorf("sandboxes are left: %+v", list)
	}
}

// wantSettled waits until an interrupted create has come to one of its two good ends.
func wantSettled(t *testing.T, s *site, h *remote, req host.CreateRequest, atKill int) {
	t.Helper()
	var last string
	await(t, patience, "the session runs, or nothing is left", func() bool {
		r, err := h.do(order{Verb: "get", Session: req.SessionID})
		if err != nil {
			last = err.Error()
			return errors.Is(err, host.CodeNotFound) && len(s.sandboxes()) == 0 // no lease was written
		}
		last = string(r.Session.Status)
		switch r.Session.Status {
		case host.StatusRunning:
			_, err := try(*r.Session, "/healthz")
			return err == nil && len(s.sandboxes()) == 1
		case host.StatusEnded:
			last += " " + string(r.Session.Ended.Reason)
			return r.Session.Ended.Reason == host.ReasonFailed && len(s.sandboxes()) == 0
		}
		return false
	})
	t.Logf("%d sandboxes at the kill; then: %s", atKill, last)
}

// SIGTERM leaves sandboxes running; the next host on the same state_dir finds them.
func TestPromise1_SandboxesSurviveAGracefulEnd(t *testing.T) { onEach(t, sandboxesSurviveAGracefulEnd) }

func sandboxesSurviveAGracefulEnd(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	first := h.owner
	v := h.create(chat())
	stopped := h.stop(h.create(chat()).ID)
	h.terminate()
	if err := leftProcesses(s.path("state")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(h.logs.String(), "sandboxes stay") {
		t.Error("the log does not say that sandboxes stay")
	}
	ask(t, v, "/")
	h = s.start().ready()
	if h.owner != first {
		t.Errorf("the owner was %s and is %s", first, h.owner)
	}
	if now := h.get(v.ID); now.Status != host.StatusRunning || now.SandboxID != v.SandboxID || !now.ExpiresAt.Equal(v.ExpiresAt) {
		t.Errorf("found %+v, left %+v", now, v)
	}
	if now := h.get(stopped.ID); now.Status != host.StatusStopped || now.SandboxID != stopped.SandboxID {
		t.Errorf("found %+v, left %+v", now, stopped)
	}
	h.delete(v.ID)
	h.delete(stopped.ID)
	if n := len(s.sandboxes()); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
}

// A host that ends in the middle of a create leaves nothing of it.
func TestPromise5_GracefulEndInMidCreate(t *testing.T) { onEach(t, gracefulEndInMidCreate) }

func gracefulEndInMidCreate(t *testing.T, on kind) {
	s := on.site(t)
	s.configure(settings{more: s.variant("deaf", map[string]string{"command": `["/agent", "-never-listen"]`}, readyTCP)})
	h := s.start().ready()
	req := chat()
	req.Template = "deaf"
	answer, err := h.send(order{Verb: "create", Create: req})
	if err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the sandbox runs", func() bool {
		list := s.sandboxes()
		return len(list) == 1 && list[0].running
	})
	h.terminate()
	if r, ok := <-answer; ok && (r.Err == nil || r.Err.Code != host.CodeUnavailable) {
		t.Errorf("the create answered %+v", r)
	}
	if list := s.sandboxes(); len(list) != 0 {
		t.Errorf("sandboxes are left: %+v", list)
	}
}
