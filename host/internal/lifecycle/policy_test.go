package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// newPolicy gives the engine the world's limits and templates as they are now.
func (w *world) newPolicy() {
	var templates []lifecycle.Template
	for _, t := range w.templates {
		templates = append(templates, t)
	}
	w.engine.SetPolicy(w.limits, templates, w.adopt)
	synctest.Wait()
}

// What is asked from now on goes by the new policy; what is there stays as it was made.
func TestSetPolicy(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		before := w.create(id1)
		w.limits.MaxTTL, w.limits.MaxSessions = time.Minute, 2
		w.templates = []*template{{name: "default", provider: "mem", ttl: 30 * time.Second, port: 8000}, {name: "more", provider: "mem", ttl: time.Second, port: 8000}}
		w.newPolicy()
		if now := w.get(id1); !now.ExpiresAt.Equal(before.ExpiresAt) || now.Status != lifecycle.StatusRunning {
			t.Errorf("a session that was there: %+v", now)
		}
		req := request(id2)
		req.TTL = 2 * time.Minute
		_, err := w.engine.Create(t.Context(), req)
		failed(t, err, lifecycle.CodeInvalidArgument, "max_ttl 1m")
		req.TTL, req.Template = 0, "more"
		after, err := w.engine.Create(t.Context(), req)
		if err != nil || after.ExpiresAt.Sub(after.CreatedAt) != time.Second {
			t.Errorf("by the new template: %+v, %v", after, err)
		}
		_, err = w.engine.Create(t.Context(), request(id3))
		failed(t, err, lifecycle.CodeResourceExhausted, "max_sessions is 2")
		w.templates = w.templates[:1]
		w.newPolicy()
		_, err = w.engine.Create(t.Context(), lifecycle.CreateRequest{ChatID: chat, Template: "more"})
		failed(t, err, lifecycle.CodeNotFound, `"more"`)
		w.pass(time.Second)
		w.ended(id2, lease.Expired)
		w.pass(time.Until(before.ExpiresAt))
		w.ended(id1, lease.Expired)
	})
}

// A longer queue lets those in who wait; the sweeps go by the new interval.
func TestSetPolicyWakesTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxCreating = 1
		w.start()
		w.prober.set(20*time.Second, false)
		first, second := w.createLater(t.Context(), id1), w.createLater(t.Context(), id2)
		synctest.Wait()
		w.calls(mem.Create, 1)
		w.limits.MaxCreating, w.limits.SweepInterval = 2, 10*time.Second
		w.newPolicy()
		w.calls(mem.Create, 2)
		w.pass(20 * time.Second)
		w.over(first)
		w.over(second)
		before := w.mem.Calls(mem.List)
		w.pass(30 * time.Second)
		if n := w.mem.Calls(mem.List) - before; n != 3 {
			t.Errorf("%d sweeps in half a minute, want 3", n)
		}
	})
}

// A provider may come while the engine runs, and go.
func TestAttachAndDetach(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.templates = append(w.templates, &template{name: "other", provider: "mem2", ttl: time.Minute, port: 8000})
		w.mem2 = mem.NewBackend("B")
		w.newPolicy()
		_, err := w.engine.Create(t.Context(), lifecycle.CreateRequest{SessionID: id1, ChatID: chat, Template: "other"})
		failed(t, err, lifecycle.CodeUnavailable, "not configured")

		w.sup2 = newSupervisor("mem2", w.mem2)
		w.sup2.engine = w.engine
		w.engine.Attach("mem2", w.sup2)
		w.must(w.sup2.start())
		synctest.Wait()
		s, err := w.engine.Create(t.Context(), lifecycle.CreateRequest{SessionID: id1, ChatID: chat, Template: "other"})
		if err != nil || s.Status != lifecycle.StatusRunning {
			t.Fatalf("%+v, %v", s, err)
		}
		w.engine.Detach("mem2")
		w.engine.Detach("mem2")
		w.status(id1, lifecycle.StatusUnknown)
		w.engine.Attach("mem2", w.sup2)
		synctest.Wait()
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Minute)
		w.ended(id1, lease.Expired)
	})
}
