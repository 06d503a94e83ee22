package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func reapersOnly(o *lifecycle.Options) { o.OnlyExpired = true }

// An engine that stands in for a host which never comes back ends what is past its deadline
// or was asked to end, and leaves everything else as it is: what a host would judge by a
// second list, by an event, or by a create that was interrupted.
func TestOnlyExpired(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		const id4 = "44444444-4444-4444-8444-444444444444"
		const young = "55555555-5555-4555-8555-555555555555"
		old := w.create(id1)
		w.pass(3 * time.Minute)
		exits := w.create(id2)
		w.create(id3)
		w.mem.SetAvailable(false)
		if err := w.engine.Delete(t.Context(), id3); err == nil {
			t.Fatal("a delete was carried out on a backend that is away")
		}
		w.mem.SetAvailable(true)
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		w.createLater(t.Context(), id4)
		w.crash()
		w.mem.Clear()
		orphan := w.mem.Put(provider.Sandbox{Owner: owner, SessionID: young, ChatID: chat, ExpiresAt: time.Now().Add(-time.Minute)})
		w.mem.Exit(exits.SandboxID, 7, false)
		w.pass(time.Until(old.ExpiresAt)) // id1 alone is due
		creates := w.mem.Calls(mem.Create)

		w.options = reapersOnly
		w.start()
		w.pass(2 * time.Second)
		w.ended(id1, lease.Expired)
		w.ended(id3, lease.Deleted)
		w.status(id2, lifecycle.StatusRunning)
		w.status(id4, lifecycle.StatusCreating)
		adopted := w.status(young, lifecycle.StatusRunning)
		if adopted.SandboxID != orphan || adopted.ExpiresAt.Before(time.Now().Add(w.limits.RecoveryGrace-time.Minute)) {
			t.Errorf("the young sandbox was adopted as %+v", adopted)
		}
		if left := w.engine.Outstanding(); len(left) != 0 {
			t.Errorf("outstanding: %+v", left)
		}
		w.boxes(3)                   // of id2, which has exited, of id4, and the orphan
		w.mem.Exit(orphan, 0, false) // an event
		w.pass(time.Minute)
		w.status(id2, lifecycle.StatusRunning)
		w.status(young, lifecycle.StatusRunning)
		w.boxes(3)
		w.calls(mem.Create, creates)

		// Each goes at its deadline, and the adopted one not before its own.
		w.pass(time.Until(exits.ExpiresAt) + time.Minute)
		w.ended(id2, lease.Expired)
		w.ended(id4, lease.Failed)
		w.status(young, lifecycle.StatusRunning)
		w.pass(time.Until(adopted.ExpiresAt) + time.Second)
		w.ended(young, lease.Expired)
		w.boxes(0)
	})
}

// What can't be ended is told with its reason.
func TestOutstanding(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Err: &provider.Error{Class: provider.Internal, Message: "stuck"}})
		w.mem.Fail(mem.Delete, mem.Fault{Err: &provider.Error{Class: provider.Internal, Message: "it does not go"}})
		w.pass(time.Until(s.ExpiresAt) + 10*time.Second)
		left := w.engine.Outstanding()
		if len(left) != 1 || left[0].ID != id1 || left[0].Tries < 3 || left[0].Err == nil {
			t.Fatalf("%+v", left)
		}
		failed(t, &lifecycle.Error{Code: lifecycle.CodeInternal, Err: left[0].Err}, lifecycle.CodeInternal, "it does not go")
		w.mem.Clear()
		w.pass(time.Minute)
		w.ended(id1, lease.Expired)
		if left := w.engine.Outstanding(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}
