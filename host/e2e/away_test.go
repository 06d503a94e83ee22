package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// gated makes a place whose plugin reaches the shared daemon through a gate.
func gated(t *testing.T, c settings) (*site, *gate) {
	t.Helper()
	s := newSite(t)
	g := newGate(s, world.api.DaemonHost())
	c.provider = "env = { DOCKER_HOST = \"unix://" + g.path + "\" }"
	s.configure(c)
	return s, g
}

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

// A daemon that is away, or hangs, ends nothing: get and list answer from memory at once,
// create says why it can't be, what expires meanwhile waits, and all goes on by itself when
// it is back. The plugin is not restarted for it.
func TestPromise4_DaemonAway(t *testing.T) {
	for name, c := range map[string]struct {
		away  func(*gate)
		words []string
	}{
		"down":  {(*gate).cut, []string{"Cannot connect to the Docker daemon"}},
		"hangs": {(*gate).hush, []string{"did not answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g := gated(t, settings{})
			h := s.start().ready()
			long := h.create(chat())
			short := h.lives(7 * time.Second)
			before := h.provider("docker")

			c.away(g)
			await(t, patience, "the provider is degraded", func() bool { return h.provider("docker").State == "degraded" })
			h.unavailable(append([]string{`provider "docker" is not ready`}, c.words...)...)
			status, body, err := page(h.url("/readyz"))
			if err != nil || status != http.StatusServiceUnavailable {
				t.Errorf("/readyz: %d %v", status, err)
			}
			wantWords(t, "/readyz", body, append([]string{`"ready":false`, `"state":"degraded"`}, c.words...)...)
			h.reaches(long.ID, host.StatusUnknown, patience)
			holds(t, short.ExpiresAt.Add(2*time.Second), "get and list answer at once, and nothing has ended", func() bool {
				began := time.Now()
				n, v := len(h.list()), h.get(short.ID)
				return n == 2 && v.Status == host.StatusUnknown && time.Since(began) < 3*time.Second
			})
			if !inspect(t, short.SandboxID).State.Running || !inspect(t, long.SandboxID).State.Running {
				t.Error("a sandbox has ended while the daemon was away")
			}
			// An extension needs no daemon.
			extended := h.extend(long.ID, time.Minute)

			g.lead(world.api.DaemonHost())
			wantOverdue(t, h, short)
			now := h.reaches(long.ID, host.StatusRunning, patience)
			if now.SandboxID != long.SandboxID || !now.ExpiresAt.Equal(extended.ExpiresAt) {
				t.Errorf("back: %+v, before: %+v", now, long)
			}
			h.ready()
			ask(t, h.create(chat()), "/")
			if after := h.provider("docker"); after.Generation != before.Generation || after.PID != before.PID {
				t.Errorf("the plugin was restarted: generation %d, pid %d; before %d, %d", after.Generation, after.PID, before.Generation, before.PID)
			}
		})
	}
}

// wantOverdue waits for the reap of a session that is overdue.
func wantOverdue(t *testing.T, h *remote, v host.Session) {
	t.Helper()
	e := h.ended(v.ID, patience)
	if e.Ended.Reason != host.ReasonExpired || !gone(t, world.api, v.SandboxID) {
		t.Errorf("the overdue session: %+v", *e.Ended)
	}
}

// A delete while the daemon is away is kept as an intent, also over a crash of the host,
// and is carried out when the daemon is back.
func TestPromise5_DeleteWhileTheDaemonIsAway(t *testing.T) {
	t.Parallel()
	s, g := gated(t, settings{})
	h := s.start().ready()
	v := h.create(chat())
	g.cut()
	await(t, patience, "the provider is degraded", func() bool { return h.provider("docker").State == "degraded" })
	r, err := h.do(order{Verb: "delete", Session: v.ID, Within: 5 * time.Second})
	if err == nil || r.Err.Code != host.CodeUnavailable || !strings.Contains(r.Err.Text, "it is kept as an intent") {
		t.Errorf("the delete: %+v, %v", r.Err, err)
	}
	h.kill9(s)
	h = s.start()
	if now := h.get(v.ID); now.Status != host.StatusDeleting && now.Status != host.StatusUnknown {
		t.Errorf("after the crash: %+v", now)
	}
	g.lead(world.api.DaemonHost())
	e := h.ended(v.ID, patience)
	if e.Ended.Reason != host.ReasonDeleted || !gone(t, world.api, v.SandboxID) {
		t.Errorf("it ended: %+v", *e.Ended)
	}
}

// A host that starts while its daemon is away serves its sessions, and goes on when the
// daemon is there.
func TestPromise4_HostStartsWithoutItsDaemon(t *testing.T) {
	t.Parallel()
	s, g := gated(t, settings{})
	h := s.start().ready()
	v := h.create(chat())
	h.kill9(s)
	g.cut()
	h = s.start()
	if list := h.list(); len(list) != 1 || list[0].ID != v.ID {
		t.Errorf("listed: %+v", list)
	}
	await(t, patience, "the provider is degraded", func() bool { return h.provider("docker").State == "degraded" })
	h.unavailable("Cannot connect to the Docker daemon")
	h.reaches(v.ID, host.StatusUnknown, patience)
	g.lead(world.api.DaemonHost())
	if now := h.reaches(v.ID, host.StatusRunning, patience); now.SandboxID != v.SandboxID {
		t.Errorf("back: %+v", now)
	}
	ask(t, v, "/")
}
