package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestCreate(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		events := w.watch()
		w.prober.set(3*time.Second, false)
		s := w.create(id1)
		if s.Status != lifecycle.StatusRunning || s.SandboxID == "" || s.Endpoint == nil || s.Endpoint.Port != 8000 {
			t.Fatalf("%+v", s)
		}
		if d := s.ExpiresAt.Sub(s.CreatedAt); d != 5*time.Minute {
			t.Errorf("it lives %v", d)
		}
		if rec := record(t, w.store, id1); rec.State != lease.Running || rec.SandboxID != s.SandboxID || rec.Identity != "A" {
			t.Errorf("lease: %+v", rec)
		}
		w.pass(5*time.Minute - 3*time.Second - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		end := w.ended(id1, lease.Expired)
		if !end.Ended.At.Equal(s.ExpiresAt) {
			t.Errorf("it ended at %v, its deadline was %v", end.Ended.At, s.ExpiresAt)
		}
		w.boxes(0)
		if got := story(events(), id1); got != "creating running stopping deleting ended(expired)" {
			t.Errorf("watchers were told: %s", got)
		}
		ops, _, lags, _ := w.obs.all()
		if len(lags) != 1 || lags[0] != 0 {
			t.Errorf("expiry lag: %v", lags)
		}
		t.Log(ops)
	})
}

func TestCreateDeleteStop(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.must(w.engine.Delete(t.Context(), id1))
		w.ended(id1, lease.Deleted)
		w.create(id2)
		s, err := w.engine.Stop(t.Context(), id2)
		w.must(err)
		if s.Status != lifecycle.StatusStopped {
			t.Fatalf("%+v", s)
		}
		w.boxes(1)
		w.pass(5 * time.Minute)
		w.ended(id2, lease.Expired)
		w.boxes(0)
		w.calls(mem.Create, 2)
	})
}
