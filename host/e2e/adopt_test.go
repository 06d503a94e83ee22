package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// Sandboxes of an owner whom the operator names are taken over: with the deadline that they
// bear, and as sessions that can be extended and deleted. Another's are left alone.
func TestPromise6_AdoptsTheOwnerThatIsNamed(t *testing.T) { onEach(t, adoptsTheOwnerThatIsNamed) }

func adoptsTheOwnerThatIsNamed(t *testing.T, on kind) {
	s := on.site(t)
	old := "old-" + filepath.Base(s.dir) + "-" + world.run
	deadline := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	labels := with(foreignLabels(), "berth.owner", old, "expires_at", deadline.Format("2006-01-02T15:04:05.000000-07:00"))
	expired := with(foreignLabels(), "berth.owner", old)
	theirs := s.on.stranger("berth-e2e-"+world.run+"-adopt", labels)
	late := s.on.stranger("berth-e2e-"+world.run+"-adopt-late", expired)
	other := s.on.stranger("berth-e2e-"+world.run+"-adopt-not", with(foreignLabels(), "berth.owner", "other-"+world.run))
	begun := time.Now()
	h := s.configure(settings{provider: `adopt = ["` + old + `"]`}).start().ready()
	v := h.get(labels["session_id"])
	if v.Status != host.StatusRunning || v.SandboxID != theirs || v.ChatID != labels["chat_id"] || v.AgentID != "writer" || !v.ExpiresAt.Equal(deadline) {
		t.Errorf("adopted as %+v", v)
	}
	ask(t, v, "/")
	if g := h.get(expired["session_id"]); g.SandboxID != late || g.ExpiresAt.Before(begun.Add(9*time.Minute)) {
		t.Errorf("the expired one has no recovery_grace: %+v", g)
	}
	v = h.extend(v.ID, time.Minute)
	h.kill9(s)
	h = s.start().ready()
	if now := h.get(v.ID); !now.ExpiresAt.Equal(v.ExpiresAt) || now.Status != host.StatusRunning {
		t.Errorf("after a crash: %+v, want %v", now, v.ExpiresAt)
	}
	h.delete(v.ID)
	h.delete(expired["session_id"])
	if !s.gone(theirs) || !s.gone(late) {
		t.Error("an adopted sandbox outlives its delete")
	}
	if !s.inspect(other).running {
		t.Error("another owner's sandbox was touched")
	}
}

// What an older adapter has made bears the six labels and no owner. "unowned" takes it over,
// stops and removes it.
func TestPromise6_AdoptsTheUnowned(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerd(s)
	d.load()
	labels := with(foreignLabels(), "expires_at", time.Now().Add(20*time.Second).UTC().Format("2006-01-02T15:04:05-07:00"), "session_id", uuid.NewString())
	made, err := d.api.ContainerCreate(t.Context(), &container.Config{Image: world.image, Labels: labels},
		&container.HostConfig{NetworkMode: "none"}, nil, nil, "agent-of-old")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.api.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	c := isolated(s, d.socket())
	c.provider += "\nadopt = [\"unowned\"]"
	h := s.configure(c).start().ready()
	v := h.get(labels["session_id"])
	if v.SandboxID != made.ID || v.ChatID != labels["chat_id"] {
		t.Errorf("adopted as %+v", v)
	}
	if e := h.ended(v.ID, patience); e.Ended.Reason != host.ReasonExpired || !gone(t, d.api, made.ID) {
		t.Errorf("at its deadline: %+v", e.Ended)
	}
}

// The operator accepts a backend in the place of the one that holds the sessions: they end
// as lost, nothing of them is touched, and the provider is READY.
func TestPromise4_AcceptBackend(t *testing.T) {
	onEach(t, func(t *testing.T, on kind) {
		s, way := on.gated(t, settings{})
		way.spare()
		h := s.start().ready()
		v := h.create(chat())
		way.another()
		h.changed()
		_, other := way.identities()
		accept := `accept_backend = "` + other + `"`
		wantWords(t, "the reason", h.plugin().Reason, "write "+accept)
		h.terminate()
		h = s.configure(settings{provider: way.line() + accept}).start().ready()
		if e := h.get(v.ID); e.Status != host.StatusEnded || e.Ended.Reason != host.ReasonLost {
			t.Errorf("it is %+v", e)
		}
		if !s.runs(v) {
			t.Error("the sandbox on the backend that is gone was touched")
		}
	})
}
