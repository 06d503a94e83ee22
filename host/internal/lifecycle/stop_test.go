package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func (w *world) stopLater(id string) <-chan result {
	return later(func() (lifecycle.Session, error) { return w.engine.Stop(context.Background(), id) })
}

func TestStop(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		events := w.watch()
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Delay: 5 * time.Second})
		first, second := w.stopLater(id1), w.stopLater(id1)
		w.status(id1, lifecycle.StatusStopping)
		if rec := record(t, w.store, id1); rec.State != lease.Stopping {
			t.Errorf("the intent is not on disk: %+v", rec)
		}
		w.pass(5 * time.Second)
		for _, c := range []<-chan result{first, second, w.stopLater(id1)} {
			if r := w.over(c); r.err != nil || r.session.Status != lifecycle.StatusStopped || r.session.Endpoint != nil {
				t.Errorf("%+v, %v", r.session, r.err)
			}
		}
		w.calls(mem.Stop, 1)
		if rec := record(t, w.store, id1); rec.State != lease.Stopped {
			t.Errorf("%+v", rec)
		}
		again, err := w.engine.Create(t.Context(), request(id1)) // the same session, and it stays stopped
		if err != nil || again.Status != lifecycle.StatusStopped {
			t.Errorf("%+v, %v", again, err)
		}
		w.must(w.engine.Delete(t.Context(), id1))
		if s, err := w.engine.Stop(t.Context(), id1); err != nil || s.Status != lifecycle.StatusEnded {
			t.Errorf("%+v, %v", s, err)
		}
		w.must(w.engine.Delete(t.Context(), id1))
		if got := story(events(), id1); got != "creating running stopping stopped deleting ended(deleted)" {
			t.Error(got)
		}
	})
}

func TestStopAndDeleteOfTheUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, err := w.engine.Stop(t.Context(), id1)
		failed(t, err, lifecycle.CodeNotFound, "no session "+id1)
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeNotFound, "no session "+id1)
		failed(t, w.engine.Delete(t.Context(), "x"), lifecycle.CodeInvalidArgument, `session_id: "x" is not a UUID`)
	})
}

func TestStopFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Err: errors.New("cannot kill")})
		_, err := w.engine.Stop(t.Context(), id1)
		failed(t, err, lifecycle.CodeSandboxStopFailed, "cannot kill", "it is kept as an intent")
		w.pass(time.Second)
		w.status(id1, lifecycle.StatusStopped) // tried again by itself
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Err: errors.New("device busy")})
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeSandboxStopFailed, "device busy")
		w.pass(time.Second)
		w.ended(id1, lease.Deleted)
	})
}

func TestStopWaitsForTheCreate(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(10*time.Second, false)
		create := w.createLater(t.Context(), id1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.engine.Stop(ctx, id1)
		failed(t, err, lifecycle.CodeUnavailable, "it is still being created")
		stop := w.stopLater(id1)
		w.pass(5 * time.Second)
		w.pending(stop)
		w.pass(5 * time.Second)
		w.must(w.over(create).err)
		if r := w.over(stop); r.err != nil || r.session.Status != lifecycle.StatusStopped {
			t.Errorf("%+v, %v", r.session, r.err)
		}
		// A create that fails leaves nothing to stop.
		w.prober.set(0, true)
		create = w.createLater(t.Context(), id2)
		stop = w.stopLater(id2)
		w.pass(30 * time.Second)
		failed(t, w.over(create).err, lifecycle.CodeSandboxStartFailed)
		if r := w.over(stop); r.err != nil || r.session.Status != lifecycle.StatusEnded {
			t.Errorf("%+v, %v", r.session, r.err)
		}
	})
}

// A delete does not wait for a stop's grace, and the stop succeeds with it.
func TestDeleteInterruptsAStop(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Delay: 10 * time.Second})
		stop := w.stopLater(id1)
		w.pass(time.Second)
		begun := time.Now()
		w.must(w.engine.Delete(t.Context(), id1))
		if d := time.Since(begun); d != 0 {
			t.Errorf("it waited %v", d)
		}
		if r := w.over(stop); r.err != nil || r.session.Status != lifecycle.StatusEnded {
			t.Errorf("%+v, %v", r.session, r.err)
		}
		w.ended(id1, lease.Deleted)
		w.boxes(0)
	})
}

// The same for the stop of an expiry.
func TestDeleteInterruptsAnExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Delay: 10 * time.Second})
		w.pass(time.Until(s.ExpiresAt) + time.Second)
		w.status(id1, lifecycle.StatusStopping)
		begun := time.Now()
		w.must(w.engine.Delete(t.Context(), id1))
		if d := time.Since(begun); d != 0 {
			t.Errorf("it waited %v", d)
		}
		w.ended(id1, lease.Expired)
		w.boxes(0)
	})
}

// Whoever deletes while another delete runs joins it.
func TestDeleteJoins(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Delay: 5 * time.Second})
		first, second, stop := w.deleteLater(id1), w.deleteLater(id1), w.stopLater(id1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		failed(t, w.engine.Delete(ctx, id1), lifecycle.CodeUnavailable, "it is kept as an intent")
		w.pass(time.Second)
		w.pending(first)
		w.pass(3 * time.Second)
		for _, c := range []<-chan result{first, second, stop} {
			w.must(w.over(c).err)
		}
		w.calls(mem.Delete, 1)
	})
}

// The provider is away: the intent is on disk, the caller hears unavailable, and the
// engine finishes by itself, in this life or in the next.
func TestIntentsWhileAway(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, func(t *testing.T, w *world) {
			w.create(id1)
			w.create(id2)
			w.sup.away()
			_, err := w.engine.Stop(t.Context(), id1)
			failed(t, err, lifecycle.CodeUnavailable, "it is kept as an intent")
			failed(t, w.engine.Delete(t.Context(), id2), lifecycle.CodeUnavailable, "it is kept as an intent", "does not answer")
			_, err = w.engine.Stop(t.Context(), id2)
			failed(t, err, lifecycle.CodeUnavailable)
			if a, b := record(t, w.store, id1), record(t, w.store, id2); a.State != lease.Stopping || b.State != lease.Deleting || b.Reason != lease.Deleted {
				t.Fatalf("%+v\n%+v", a, b)
			}
			w.boxes(2)
			if restart {
				w.crash()
				w.mem.SetAvailable(true)
				w.start()
			} else {
				w.pass(2 * time.Minute)
				w.sup.back()
				synctest.Wait()
			}
			w.status(id1, lifecycle.StatusStopped)
			w.ended(id2, lease.Deleted)
			w.boxes(1)
			w.calls(mem.Create, 2)
		})
	}
}

// A plugin that is gone altogether, and comes back with the next generation.
func TestDeleteWithoutAPlugin(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.sup.stop(errors.New("exit status 2"))
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeUnavailable, "exit status 2")
		w.pass(time.Minute)
		w.must(w.sup.start())
		synctest.Wait()
		w.ended(id1, lease.Deleted)
	})
}

// "It is not there" is believed only from the backend that the lease names, also when it
// changes between two questions.
func TestNotFoundOfAnotherBackend(t *testing.T) {
	for name, verb := range map[string]func(w *world) error{
		"stop":   func(w *world) error { _, err := w.engine.Stop(w.t.Context(), id1); return err },
		"delete": func(w *world) error { return w.engine.Delete(w.t.Context(), id1) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				s := w.create(id1)
				box := w.boxes(1)[0]
				w.mem.Vanish(s.SandboxID) // as it looks from the other daemon
				w.mem.SetIdentity("B")
				failed(t, verb(w), lifecycle.CodeUnavailable, `backend changed: the session's sandbox is on "A", and this is "B"`)
				w.pass(10 * time.Minute)
				if s := w.get(id1); s.Status == lifecycle.StatusEnded {
					t.Fatalf("it has ended: %+v", s.Ended)
				}
				w.mem.SetIdentity("A")
				w.mem.Put(box)
				w.pass(time.Minute)
				reason := lease.Expired
				if name == "delete" {
					reason = lease.Deleted
				}
				w.ended(id1, reason)
				w.boxes(0)
			})
		})
	}
}

// The same for a sandbox whose id was never heard.
func TestNotFoundByNameOfAnotherBackend(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		c := w.createLater(t.Context(), id1)
		w.sup.stop(errors.New("the plugin died"))
		w.pass(10 * time.Second)
		failed(t, w.over(c).err, lifecycle.CodeUnavailable)
		box := w.boxes(1)[0]
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Err: errAway})
		w.must(w.sup.start())
		synctest.Wait()
		w.mem.Vanish(box.ID) // as it looks from the other daemon
		w.mem.SetIdentity("B")
		w.pass(10 * time.Minute)
		if s := w.get(id1); s.Status == lifecycle.StatusEnded {
			t.Fatalf("it has ended: %+v", s.Ended)
		}
		w.mem.SetIdentity("A")
		w.mem.Put(box)
		w.pass(time.Minute)
		w.ended(id1, lease.Failed)
		w.boxes(0)
	})
}

// A stop finds that somebody else has removed the sandbox.
func TestStopOfWhatIsGone(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.quietly(func() { w.mem.Vanish(s.SandboxID) })
		got, err := w.engine.Stop(t.Context(), id1)
		w.must(err)
		if got.Status != lifecycle.StatusEnded || got.Ended.Reason != lease.Removed {
			t.Errorf("%+v", got)
		}
	})
}

// A provider whose answer is no known outcome has not done it.
func TestDeleteLies(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Outcome: "gone"})
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeSandboxStopFailed, `the provider's answer is refused: outcome "gone" is unknown`)
		w.pass(time.Second)
		w.ended(id1, lease.Deleted)
	})
}

// A delete wins over a create, whatever that is at.
func TestDeleteWinsOverACreate(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		within  time.Duration
		creates int
	}{
		"queued":    {func(w *world) { w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Delay: time.Minute}) }, 0, 0},
		"prepare":   {func(w *world) { w.mem.Fail(mem.Prepare, mem.Fault{Delay: time.Minute}) }, 0, 0},
		"lease":     {func(w *world) { w.store.Delay(5 * time.Second) }, 15 * time.Second, 1},
		"create":    {func(w *world) { w.mem.Fail(mem.Create, mem.Fault{Delay: 20 * time.Second}) }, 20 * time.Second, 1},
		"created":   {func(w *world) { w.mem.Fail(mem.Create, mem.Fault{Delay: 20 * time.Second, After: true}) }, 20 * time.Second, 1},
		"readiness": {func(w *world) { w.prober.set(0, true) }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.limits.MaxCreating = 1
				w.start()
				events := w.watch()
				c.prepare(w)
				if name == "queued" {
					w.createLater(t.Context(), id2)
				}
				create := w.createLater(t.Context(), id1)
				del := w.deleteLater(id1)
				w.pass(c.within)
				w.must(w.over(del).err)
				failed(t, w.over(create).err, lifecycle.CodeConflict, "the session was deleted")
				w.ended(id1, lease.Deleted)
				w.boxes(0)
				w.calls(mem.Create, c.creates)
				if got := story(events(), id1); got != "creating deleting ended(deleted)" {
					t.Error(got)
				}
				if rec := record(t, w.store, id1); rec.State != lease.Ended || rec.Ended.Reason != lease.Deleted {
					t.Errorf("%+v", rec)
				}
				w.pass(5 * time.Minute)
				_, err := w.engine.Create(t.Context(), request(id1))
				failed(t, err, lifecycle.CodeConflict, "has ended: deleted")
			})
		})
	}
}

// A stop that can't be done although the provider is READY gives way to force.
func TestExpiryOfASandboxThatCannotBeStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Err: &provider.Error{Class: provider.Unavailable, Message: "timeout"}})
		w.pass(5*time.Minute + 3*time.Second)
		w.ended(id1, lease.Expired)
		w.calls(mem.Stop, 3)
		w.boxes(0)
	})
}
