package e2e

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// Another, empty backend in the place of the one that holds the sessions: they are unknown,
// the provider is degraded, and nothing ends or is deleted, whatever its complete list
// says; not even at a deadline. With the old one back all goes on.
func TestPromise4_BackendChanged(t *testing.T) {
	onEach(t, func(t *testing.T, on kind) {
		s, way := on.gated(t, settings{lifecycle: map[string]string{"sweep_interval": `"500ms"`}})
		way.spare()
		h := s.start().ready()
		long := h.create(chat())
		short := h.lives(7 * time.Second)

		way.another()
		h.changed()
		own, other := way.identities()
		wantWords(t, "the reason", h.plugin().Reason, "backend changed", other, own)
		for _, v := range []host.Session{long, short} {
			if now := h.get(v.ID); now.Status != host.StatusUnknown {
				t.Errorf("at once: %+v", now)
			}
		}
		h.unavailable("backend changed")
		holds(t, short.ExpiresAt.Add(4*time.Second), "both are unknown", func() bool {
			return len(h.list()) == 2 && h.get(short.ID).Status == host.StatusUnknown && h.get(long.ID).Status == host.StatusUnknown
		})
		if !s.runs(short) || !s.runs(long) {
			t.Error("a sandbox has ended")
		}
		if !way.alone() {
			t.Error("something is at the other backend")
		}

		// The same after a crash of the host: the identity is in the leases.
		h.kill9(s)
		h = s.start()
		h.changed()
		h.unavailable("backend changed")
		if n := len(h.list()); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}

		way.back()
		h.overdue(short)
		if now := h.reaches(long.ID, host.StatusRunning, patience); now.SandboxID != long.SandboxID {
			t.Errorf("back: %+v", now)
		}
		h.ready()
		ask(t, long, "/")
		ask(t, h.create(chat()), "/")
	})
}

// An acknowledged extension survives kill -9 of daemon, host and plugin, where the daemon
// keeps its containers.
func TestPromise3_ExtensionSurvivesKillOfTheDaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerd(s, "--live-restore")
	d.load()
	s.configure(isolated(s, d.socket()))
	h := s.start().ready()
	v := h.lives(7 * time.Second)
	was := v.ExpiresAt
	v = h.extend(v.ID, 10*time.Second)
	d.kill9()
	killPlugin(t, h, false)
	h.kill9(s)
	d.start()
	h = s.start().ready()
	if now := h.get(v.ID); now.Status != host.StatusRunning || now.SandboxID != v.SandboxID || !now.ExpiresAt.Equal(v.ExpiresAt) {
		t.Errorf("after the crash %+v, before it %+v", now, v)
	}
	runs := func() bool {
		c, err := d.api.ContainerInspect(t.Context(), v.SandboxID)
		return err == nil && c.State.Running
	}
	holds(t, was.Add(500*time.Millisecond), "the sandbox runs", runs)
	holds(t, v.ExpiresAt, "the sandbox runs", runs)
	e := h.ended(v.ID, lateness)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) || !gone(t, d.api, v.SandboxID) {
		t.Errorf("it ended: %+v", *e.Ended)
	}
}

// A daemon that comes back without its containers running has ended them: they have
// exited, and the sessions end so.
func TestPromise1_DaemonRestartedWithoutLiveRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerd(s)
	d.load()
	s.configure(isolated(s, d.socket()))
	h := s.start().ready()
	v := h.create(chat())
	d.kill9()
	await(t, patience, "the provider is degraded", func() bool { return h.provider("docker").State == "degraded" })
	if now := h.get(v.ID); now.Status == host.StatusEnded {
		t.Errorf("the daemon is away, and the session has ended: %+v", *now.Ended)
	}
	d.start()
	e := h.ended(v.ID, patience)
	if e.Ended.Reason != host.ReasonExited || e.Ended.ExitCode == nil || !gone(t, d.api, v.SandboxID) {
		t.Errorf("it ended: %+v", *e.Ended)
	}
	h.ready()
	h.delete(h.create(chat()).ID)
}
