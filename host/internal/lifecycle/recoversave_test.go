package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A create that a crash interrupted is acknowledged when it is on disk that it runs, not
// before: another crash must not ask for its readiness once more.
func TestPromise1_RecoveredIsOnDiskFirst(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		w.createLater(t.Context(), id1)
		w.crash()
		w.mem.Clear()
		w.store.Fail(leaseFault(3))
		w.start()
		answer := w.createLater(t.Context(), id1)
		w.pass(time.Second / 2)
		w.status(id1, lifecycle.StatusCreating)
		select {
		case r := <-answer:
			t.Fatalf("acknowledged, and its lease says creating: %+v", r)
		default:
		}
		w.store.Clear()
		w.pass(time.Minute)
		w.must((<-answer).err)
		if rec := record(t, w.store, id1); rec.State != lease.Running {
			t.Errorf("its lease says %s", rec.State)
		}
		w.boxes(1)
	})
}
