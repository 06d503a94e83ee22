package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// unavailable is a create that has to fail because the provider is away, at once.
func (h *remote) unavailable(words ...string) {
	h.t.Helper()
	began := time.Now()
	f := h.refused(chat())
	if f.Code != host.CodeUnavailable || f.ChatID == "" {
		h.t.Errorf("a create while the provider is away: %s, chat %q: %s", f.Code, f.ChatID, f.Text)
	}
	wantWords(h.t, "the create's error", f.Text, words...)
	if took := time.Since(began); took > 5*time.Second {
		h.t.Errorf("it took %v to say so", took)
	}
}

// A backend that is away, or hangs, ends nothing: get and list answer from memory at once,
// create says why it can't be, what expires meanwhile waits, and all goes on by itself when
// it is back. The plugin is not restarted for it.
func TestPromise4_BackendAway(t *testing.T) {
	onEach(t, func(t *testing.T, on kind) {
		t.Run("down", func(t *testing.T) {
			t.Parallel()
			s, way := on.gated(t, settings{})
			testAway(t, s, way, way.cut, way.cause())
		})
		if on.name != "docker" {
			return // a call of the kernel's that hangs can't be had here
		}
		t.Run("hangs", func(t *testing.T) {
			t.Parallel()
			s, way := on.gated(t, settings{})
			testAway(t, s, way, way.(*gateTo).hush, "did not answer")
		})
	})
}

func testAway(t *testing.T, s *site, way detour, begin func(), cause string) {
	h := s.start().ready()
	long := h.create(chat())
	short := h.lives(7 * time.Second)
	before := h.plugin()

	begin()
	h.degraded()
	h.unavailable("provider \""+s.on.name()+"\" is not ready", cause)
	status, body, err := page(h.url("/readyz"))
	if err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %v", status, err)
	}
	wantWords(t, "/readyz", body, `"ready":false`, `"state":"degraded"`, cause)
	h.reaches(long.ID, host.StatusUnknown, patience)
	holds(t, short.ExpiresAt.Add(2*time.Second), "get and list answer at once, and nothing has ended", func() bool {
		began := time.Now()
		n, v := len(h.list()), h.get(short.ID)
		return n == 2 && v.Status == host.StatusUnknown && time.Since(began) < 3*time.Second
	})
	if !s.runs(short) || !s.runs(long) {
		t.Error("a sandbox has ended while the backend was away")
	}
	// An extension needs no backend.
	extended := h.extend(long.ID, time.Minute)

	way.back()
	h.overdue(short)
	now := h.reaches(long.ID, host.StatusRunning, patience)
	if now.SandboxID != long.SandboxID || !now.ExpiresAt.Equal(extended.ExpiresAt) {
		t.Errorf("back: %+v, before: %+v", now, long)
	}
	h.ready()
	ask(t, h.create(chat()), "/")
	if after := h.plugin(); after.Generation != before.Generation || after.PID != before.PID {
		t.Errorf("the plugin was restarted: generation %d, pid %d; before %d, %d", after.Generation, after.PID, before.Generation, before.PID)
	}
}

// overdue waits for the reap of a session that is overdue.
func (h *remote) overdue(v host.Session) {
	h.t.Helper()
	e := h.ended(v.ID, patience)
	if e.Ended.Reason != host.ReasonExpired || !h.s.gone(v.SandboxID) {
		h.t.Errorf("the overdue session: %+v", *e.Ended)
	}
}

// A delete while the backend is away is kept as an intent, also over a crash of the host,
// and is carried out when it is back.
func TestPromise5_DeleteWhileTheBackendIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, on kind) {
		s, way := on.gated(t, settings{})
		h := s.start().ready()
		v := h.create(chat())
		way.cut()
		h.degraded()
		r, err := h.do(order{Verb: "delete", Session: v.ID, Within: 5 * time.Second})
		if err == nil || r.Err.Code != host.CodeUnavailable || !strings.Contains(r.Err.Text, "it is kept as an intent") {
			t.Errorf("the delete: %+v, %v", r.Err, err)
		}
		h.kill9(s)
		h = s.start()
		if now := h.get(v.ID); now.Status != host.StatusDeleting && now.Status != host.StatusUnknown {
			t.Errorf("after the crash: %+v", now)
		}
		way.back()
		e := h.ended(v.ID, patience)
		if e.Ended.Reason != host.ReasonDeleted || !s.gone(v.SandboxID) {
			t.Errorf("it ended: %+v", *e.Ended)
		}
	})
}

// A host that starts while its backend is away serves its sessions, and goes on when that
// is there.
func TestPromise4_HostStartsWithoutItsBackend(t *testing.T) {
	onEach(t, func(t *testing.T, on kind) {
		s, way := on.gated(t, settings{})
		h := s.start().ready()
		v := h.create(chat())
		h.kill9(s)
		way.cut()
		h = s.start()
		if list := h.list(); len(list) != 1 || list[0].ID != v.ID {
			t.Errorf("listed: %+v", list)
		}
		h.degraded()
		h.unavailable(way.cause())
		h.reaches(v.ID, host.StatusUnknown, patience)
		way.back()
		if now := h.reaches(v.ID, host.StatusRunning, patience); now.SandboxID != v.SandboxID {
			t.Errorf("back: %+v", now)
		}
		ask(t, v, "/")
	})
}
