package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// While the store can't write, create and extend are refused, and everything else goes on.
func TestStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ids := []string{id1, id2, id3, "44444444-4444-4444-8444-444444444444"}
		var boxes []string
		for _, id := range ids {
			boxes = append(boxes, w.create(id).SandboxID)
		}
		w.store.Fail(leaseFault(0))
		writes := w.store.Writes()

		_, err := w.engine.Create(t.Context(), request(""))
		failed(t, err, lifecycle.CodeUnavailable, "no space left on device")
		_, err = w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeUnavailable, "no space left on device")
		w.calls(mem.Create, 4)

		w.must(w.engine.Delete(t.Context(), ids[0]))
		w.ended(ids[0], lease.Deleted)
		s, err := w.engine.Stop(t.Context(), ids[1])
		w.must(err)
		if s.Status != lifecycle.StatusStopped {
			t.Errorf("%+v", s)
		}
		w.mem.Exit(boxes[2], 1, false)
		synctest.Wait()
		w.ended(ids[2], lease.Exited)
		w.pass(5 * time.Minute)
		w.ended(ids[1], lease.Expired)
		w.ended(ids[3], lease.Expired)
		w.boxes(0)
		if w.store.Writes() != writes {
			t.Error("the store has written")
		}

		w.store.Clear()
		w.pass(3 * time.Second)
		for i, reason := range []lease.Reason{lease.Deleted, lease.Expired, lease.Exited, lease.Expired} {
			if rec := record(t, w.store, ids[i]); rec.State != lease.Ended || rec.Ended.Reason != reason {
				t.Errorf("%s: %+v", ids[i], rec)
			}
		}
		w.create("")
	})
}

// What could not be written is written when the host stops, if that is possible by then.
func TestUnsavedIsWrittenAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.store.Fail(leaseFault(0))
		w.must(w.engine.Delete(t.Context(), id1))
		w.store.Clear()
		w.stop()
		if rec := record(t, w.store, id1); rec.State != lease.Ended {
			t.Errorf("%+v", rec)
		}
	})
}

// A delete whose write failed, and a host that dies before it could be written: the sandbox
// is gone, so the next life finds it removed.
func TestDeleteThatWasNeverWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.store.Fail(leaseFault(0))
		w.must(w.engine.Delete(t.Context(), id1))
		w.boxes(0)
		w.crash()
		w.store.Clear()
		w.start()
		w.ended(id1, lease.Removed)
	})
}

// A write that takes long holds up only its own session.
func TestStoreIsSlow(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.create(id2)
		release := w.store.Hold()
		c := w.extendLater(id1, by(time.Minute))
		w.status(id1, lifecycle.StatusRunning)
		if _, err := w.engine.List(lifecycle.Filter{}); err != nil {
			t.Error(err)
		}
		w.mem.Vanish(w.get(id2).SandboxID) // its end wants to be written too
		synctest.Wait()
		w.pending(c)
		release()
		w.must(w.over(c).err)
		w.ended(id2, lease.Removed)
	})
}

// A disk that hangs is one that can't be written: what is due goes on, nothing new is
// promised, and with the disk back all is as before.
func TestPromise2_ExpiresWhileTheDiskHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var due time.Time
		for i := range 200 { // many more than may be reaped at once
			due = w.create(simID(i)).ExpiresAt
		}
		lives := w.create(id1)
		_, err := w.engine.Extend(t.Context(), id1, by(5*time.Minute))
		w.must(err)
		release := w.store.Hold()
		w.pass(time.Until(due) + 15*time.Second)
		if boxes := w.boxes(1); boxes[0].ID != lives.SandboxID {
			t.Errorf("left is %s, want %s", boxes[0].ID, lives.SandboxID)
		}
		_, err = w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeUnavailable, "the disk has not answered for 10s")
		release()
		w.pass(13 * time.Second) // the probe under way ends in ten
		if rec := record(t, w.store, simID(0)); rec.State != lease.Ended || rec.Reason != lease.Expired {
			t.Errorf("on disk: %+v", rec)
		}
		if s, err := w.engine.Extend(t.Context(), id1, by(time.Minute)); err != nil || !s.ExpiresAt.Equal(lives.ExpiresAt.Add(6*time.Minute)) {
			t.Errorf("extended until %v, %v", s.ExpiresAt, err)
		}
	})
}

// picky is a store that refuses the end of one session for good.
type picky struct {
	lease.Store
	refuses string
}

func (p picky) Put(ctx context.Context, rec lease.Record) error {
	if rec.SessionID == p.refuses && rec.State == lease.Ended {
		return &provider.Error{Class: provider.InvalidArgument, Message: "the record is too long"}
	}
	return p.Store.Put(ctx, rec)
}

// A record that can never be written keeps no other off the disk.
func TestUnsavedBesideOneThatIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options = func(o *lifecycle.Options) { o.Store = picky{o.Store, simID(0)} }
		w.start()
		for i := range 20 {
			w.create(simID(i))
		}
		w.store.Fail(leaseFault(0))
		for i := range 20 {
			w.must(w.engine.Delete(t.Context(), simID(i)))
		}
		w.store.Clear()
		w.pass(3 * time.Second)
		for i := range 20 {
			if rec := record(t, w.store, simID(i)); (rec.State == lease.Ended) != (i > 0) {
				t.Errorf("session %d is %q on disk", i, rec.State)
			}
		}
	})
}

// What a provider says of a failure may be of any length; the record keeps its beginning.
func TestCauseIsClipped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: &provider.Error{Class: provider.Internal, Message: strings.Repeat("boom ", 1<<18)}})
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeSandboxStartFailed, "boom boom")
		if rec := record(t, w.store, id1); rec.State != lease.Ended || len(rec.Cause) > 5000 || !strings.Contains(rec.Ended.Message, "boom boom") {
			t.Errorf("%q, a cause of %d bytes", rec.State, len(rec.Cause))
		}
	})
}

// A graceful stop leaves running sandboxes, and nothing of creates in flight.
func TestShutdown(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"prepare":   func(w *world) { w.mem.Fail(mem.Prepare, mem.Fault{Hang: true}) },
		"create":    func(w *world) { w.mem.Fail(mem.Create, mem.Fault{Delay: 5 * time.Second}) },
		"created":   func(w *world) { w.mem.Fail(mem.Create, mem.Fault{Delay: 5 * time.Second, After: true}) },
		"readiness": func(w *world) { w.prober.set(0, true) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				_, err := w.engine.Stop(t.Context(), w.create(id2).ID)
				w.must(err)
				spoil(w)
				c := w.createLater(t.Context(), id3)
				begun := time.Now()
				w.stop()
				if d := time.Since(begun); d > 5*time.Second {
					t.Errorf("it took %v", d)
				}
				failed(t, w.over(c).err, lifecycle.CodeUnavailable, "the host is stopping")
				w.boxes(2)
				if rec := record(t, w.store, id3); rec.State != lease.Ended || rec.Ended.Reason != lease.Failed {
					t.Errorf("%+v", rec)
				}
				_, err = w.engine.Create(t.Context(), request(""))
				failed(t, err, lifecycle.CodeUnavailable, "the host is stopping")
				failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeUnavailable, "the host is stopping")
				w.mem.Clear()
				w.restart2()
				w.ended(id1, lease.Deleted) // that intent was on disk
				w.status(id2, lifecycle.StatusStopped)
				w.ended(id3, lease.Failed)
			})
		})
	}
}

// A provider that hangs delays the end by the grace, and what is not done is done by the
// next life.
func TestShutdownOfAHungProvider(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Hang: true})
		w.mem.Fail(mem.Create, mem.Fault{Hang: true, After: true})
		w.pass(5*time.Minute - 30*time.Second)
		c := w.createLater(t.Context(), id2)
		w.pass(time.Minute) // id1 is due
		del := w.deleteLater(id1)
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d > 61*time.Second {
			t.Errorf("it took %v", d)
		}
		if w.over(c).err == nil || w.over(del).err == nil {
			t.Error("they succeeded")
		}
		w.boxes(2)
		w.mem.Clear()
		w.restart2()
		w.boxes(0)
		w.ended(id1, lease.Expired)
		w.ended(id2, lease.Failed)
	})
}

// Whoever waits when the host ends is told.
func TestShutdownTellsWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		w.createLater(t.Context(), id1)
		w.crash()
		w.prober.set(0, true)
		w.start() // id1 is recovered, and not ready
		join, stop := w.createLater(context.Background(), id1), w.stopLater(id1)
		w.pending(join)
		w.pending(stop)
		w.stop()
		failed(t, w.over(join).err, lifecycle.CodeUnavailable, "the host is stopping")
		failed(t, w.over(stop).err, lifecycle.CodeUnavailable, "the host is stopping")
	})
}

func TestNewNeedsTheLeases(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		closed := w.store.Reopen()
		w.must(closed.Close())
		_, err := lifecycle.New(t.Context(), lifecycle.Options{Store: closed})
		if err == nil || errors.Unwrap(err) == nil {
			t.Errorf("%v", err)
		}
	})
}

func TestReconcileOfTheUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		err := w.engine.Reconcile(t.Context(), "nosuch", w.mem.Provider())
		failed(t, err, lifecycle.CodeInternal, "provider nosuch is not attached")
	})
}
