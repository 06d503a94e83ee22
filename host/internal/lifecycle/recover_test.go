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

func TestRecoverRunningAndStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.create(id1), w.create(id2)
		_, err := w.engine.Stop(t.Context(), id2)
		w.must(err)
		w.pass(time.Minute)
		w.crash()
		w.boot() // no provider yet
		if s := w.get(id1); s.Status != lifecycle.StatusRunning || !s.ExpiresAt.Equal(a.ExpiresAt) || *s.Endpoint != *a.Endpoint {
			t.Errorf("%+v", s)
		}
		w.pass(10 * time.Second)
		w.status(id1, lifecycle.StatusUnknown)
		w.must(w.sup.start())
		synctest.Wait()
		w.status(id1, lifecycle.StatusRunning)
		w.status(id2, lifecycle.StatusStopped)
		w.pass(time.Until(a.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
		w.pass(time.Until(b.ExpiresAt))
		w.ended(id2, lease.Expired)
		w.calls(mem.Create, 2)
		w.boxes(0)
	})
}

func TestRecoverWhatHappenedMeanwhile(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		exits, gone, again := w.create(id1), w.create(id2), w.create(id3)
		_, err := w.engine.Stop(t.Context(), id3)
		w.must(err)
		w.crash()
		w.mem.Exit(exits.SandboxID, 9, false)
		w.mem.Vanish(gone.SandboxID)
		w.mem.SetState(again.SandboxID, provider.StateRunning)
		w.start()
		if s := w.ended(id1, lease.Exited); *s.Ended.ExitCode != 9 {
			t.Errorf("%+v", s.Ended)
		}
		w.ended(id2, lease.Removed)
		w.status(id3, lifecycle.StatusStopped)
		if box := w.boxes(1)[0]; box.State != provider.StateExited {
			t.Errorf("%+v", box)
		}
	})
}

func TestRecoverStoppingAndDeleting(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.create(id2)
		w.mem.Fail(mem.Stop, mem.Fault{Hang: true})
		w.mem.Fail(mem.Delete, mem.Fault{Hang: true})
		stop, del := w.stopLater(id1), w.deleteLater(id2)
		w.crash()
		if w.over(stop).err == nil || w.over(del).err == nil {
			t.Error("the verbs of a host that was killed succeeded")
		}
		w.mem.Clear()
		w.start()
		w.status(id1, lifecycle.StatusStopped)
		w.ended(id2, lease.Deleted)
		w.boxes(1)
	})
}

// A host goes down while it creates; what it finds at the next start decides.
func TestRecoverCreating(t *testing.T) {
	for name, c := range map[string]struct {
		fault   mem.Fault
		between func(w *world)
		check   func(w *world)
	}{
		"running, then ready": {mem.Fault{Times: 1, After: true, Hang: true},
			func(w *world) { w.prober.set(5*time.Second, false) },
			func(w *world) {
				w.status(id1, lifecycle.StatusCreating)
				join := w.createLater(w.t.Context(), id1)
				stop := w.stopLater(id1)
				w.pass(5 * time.Second)
				w.must(w.over(join).err)
				w.must(w.over(stop).err)
				w.status(id1, lifecycle.StatusStopped)
				w.boxes(1)
			}},
		"running, never ready": {mem.Fault{Times: 1, After: true, Hang: true},
			func(w *world) { w.prober.set(0, true) },
			func(w *world) {
				join := w.createLater(w.t.Context(), id1)
				w.pass(30 * time.Second)
				failed(w.t, w.over(join).err, lifecycle.CodeSandboxStartFailed, "not ready within 30s")
				w.ended(id1, lease.Failed)
				w.boxes(0)
			}},
		"there, not running": {mem.Fault{Times: 1, After: true, Hang: true},
			func(w *world) { w.mem.SetState(w.boxes(1)[0].ID, provider.StateCreated) },
			func(w *world) { w.ended(id1, lease.Failed); w.boxes(0) }},
		"there, state unknown": {mem.Fault{Times: 1, After: true, Hang: true},
			func(w *world) { w.mem.SetState(w.boxes(1)[0].ID, provider.StateUnknown) },
			func(w *world) {
				w.pass(4 * time.Minute)
				w.status(id1, lifecycle.StatusCreating)
				w.mem.SetState(w.boxes(1)[0].ID, provider.StateRunning)
				w.pass(time.Minute)
				w.status(id1, lifecycle.StatusRunning)
			}},
		"absent": {mem.Fault{Times: 1, Hang: true}, nil,
			func(w *world) {
				join := w.createLater(w.t.Context(), id1)
				w.pass(2*time.Minute - time.Second)
				w.status(id1, lifecycle.StatusCreating)
				w.pending(join)
				w.pass(2 * time.Second)
				w.ended(id1, lease.Failed)
				failed(w.t, w.over(join).err, lifecycle.CodeSandboxStartFailed, "no sandbox came of it")
				w.create(id1)
			}},
		"absent, then there": {mem.Fault{Times: 1, Hang: true}, nil,
			func(w *world) {
				w.pass(90 * time.Second)
				rec := record(w.t, w.store, id1)
				w.mem.Put(provider.Sandbox{Name: rec.SandboxName, Owner: owner, SessionID: id1, RequestHash: rec.RequestHash,
					Endpoint: &provider.Endpoint{IP: "10.0.0.1", Port: 1}})
				w.pass(time.Minute)
				w.status(id1, lifecycle.StatusRunning)
			}},
		"another request's": {mem.Fault{Times: 1, Hang: true},
			func(w *world) {
				w.mem.Put(provider.Sandbox{Name: record(w.t, w.store, id1).SandboxName, Owner: owner, SessionID: id1, RequestHash: "other"})
			},
			func(w *world) {
				w.pass(3 * time.Minute)
				w.ended(id1, lease.Failed)
				w.pass(3 * time.Minute)
				w.boxes(0) // it is an orphan
				w.orphans("deleted")
			}},
		"somebody else's": {mem.Fault{Times: 1, Hang: true},
			func(w *world) {
				w.mem.Put(provider.Sandbox{Name: record(w.t, w.store, id1).SandboxName, Owner: "other", SessionID: id1})
			},
			func(w *world) {
				w.pass(3 * time.Minute)
				w.ended(id1, lease.Failed)
				w.boxes(1)
			}},
		"deleted while it becomes ready": {mem.Fault{Times: 1, After: true, Hang: true},
			func(w *world) { w.prober.set(0, true) },
			func(w *world) {
				w.must(w.engine.Delete(w.t.Context(), id1))
				w.ended(id1, lease.Deleted)
				w.boxes(0)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.templates[0].ttl = time.Hour
				w.start()
				w.mem.Fail(mem.Create, c.fault)
				w.createLater(t.Context(), id1)
				w.crash()
				if c.between != nil {
					c.between(w)
				}
				w.start()
				c.check(w)
			})
		})
	}
}

// One list is not enough, however long it was ago.
func TestRecoverAbsentNeedsTwoLists(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.SweepInterval = 10 * time.Minute
		long(w)
		w.start()
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Hang: true})
		w.createLater(t.Context(), id1)
		w.restart()
		w.pass(5 * time.Minute)
		w.engine.SandboxEvent("mem", provider.Event{SandboxID: "?", SessionID: id1, Kind: provider.EventRemoved})
		w.engine.BackendChanged("mem", w.sup.Status())
		w.pass(time.Minute)
		w.status(id1, lifecycle.StatusCreating)
		gets := w.mem.Calls(mem.Get)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Err: errAway})
		w.sup.away()
		w.sup.back() // it is looked at, and listed once more
		w.pass(time.Minute)
		w.ended(id1, lease.Failed)
		if w.mem.Calls(mem.Get) == gets {
			t.Error("Get was not asked")
		}
	})
}

// The deadline passes while a recovered sandbox becomes ready.
func TestRecoverCreatingPastItsDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(0, true)
		req := request(id1)
		req.TTL = 20 * time.Second
		later(func() (lifecycle.Session, error) { return w.engine.Create(context.Background(), req) })
		deadline := w.get(id1).ExpiresAt
		w.crash()
		w.prober.set(0, true)
		w.mem.Fail(mem.Get, mem.Fault{Times: 2, Err: errAway}) // it is not the first look that finds it
		w.start()
		w.pass(time.Until(deadline) - time.Nanosecond)
		w.status(id1, lifecycle.StatusCreating)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Failed)
		w.boxes(0)
	})
}

// Nor does it wait for its turn beyond its deadline, while others take long to become ready.
func TestPromise2_RecoverQueuedPastItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxCreating = 1
		w.start()
		w.prober.set(0, true)
		req := request(id1)
		req.TTL = 20 * time.Second
		later(func() (lifecycle.Session, error) { return w.engine.Create(context.Background(), req) })
		deadline := w.get(id1).ExpiresAt
		w.crash()
		w.prober.set(0, true)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Err: errAway}) // so that another create gets the turn
		w.start()
		w.createLater(context.Background(), id2)
		w.pass(3 * time.Second)
		s, err := w.engine.Extend(context.Background(), id1, by(5*time.Second)) // its turn has not come then, either
		if w.must(err); !s.ExpiresAt.Equal(deadline.Add(5 * time.Second)) {
			t.Fatalf("extended to %v", s.ExpiresAt)
		}
		w.pass(time.Until(s.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusCreating)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Failed)
		w.boxes(1)
	})
}

// What a host recovers when it is stopped once more stays as it was.
func TestRecoverIsInterruptedByAShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(0, true)
		w.createLater(t.Context(), id1)
		w.crash()
		w.prober.set(0, true)
		w.start()
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d > time.Second {
			t.Errorf("it took %v", d)
		}
		w.boxes(1)
		if rec := record(t, w.store, id1); rec.State != lease.Creating {
			t.Errorf("%+v", rec)
		}
		w.restart2()
		w.status(id1, lifecycle.StatusRunning)
	})
}

// restart2 is the next start after a graceful stop.
func (w *world) restart2() {
	w.t.Helper()
	w.sup.close()
	w.store = w.store.Reopen()
	w.prober.set(0, false)
	w.start()
}

// Readiness that takes long does not keep the reaper of others waiting.
func TestRecoveryDoesNotDelayTheReaper(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxReaping, w.limits.MaxCreating = 1, 2
		w.start()
		for range 5 {
			req := request("")
			req.TTL = time.Minute
			_, err := w.engine.Create(t.Context(), req)
			w.must(err)
		}
		w.prober.set(0, true)
		w.createLater(t.Context(), id1)
		w.createLater(t.Context(), id2)
		w.crash()
		w.pass(2 * time.Minute)
		w.prober.set(0, true)
		w.start()
		w.boxes(2)
		w.status(id1, lifecycle.StatusCreating)
		w.status(id2, lifecycle.StatusCreating)
	})
}

// A lease that was written before its create was ever asked for.
func TestRecoverWhatWasNeverAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.templates[0].specErr = errors.New("never") // after the deadline is fixed
		hold := make(chan struct{})
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Hold: hold})
		w.createLater(t.Context(), id1)
		w.deleteLater(id1)
		if rec := record(t, w.store, id1); rec.State != lease.Ended {
			t.Errorf("%+v", rec)
		}
		close(hold)
		rec := record(t, w.store, id1)
		rec.SessionID, rec.State, rec.Ended, rec.Reason = id2, lease.Creating, nil, ""
		rec.ExpiresAt = time.Now().Add(time.Hour)
		w.must(w.store.Put(t.Context(), rec))
		w.templates[0].specErr = nil
		w.restart()
		w.ended(id2, lease.Failed)
		w.ended(id1, lease.Deleted)
		w.calls(mem.Create, 0)
	})
}

// Terminal records come back, for as long as they are kept.
func TestRecoverTerminalRecords(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.must(w.engine.Delete(t.Context(), id1))
		w.pass(30 * time.Minute)
		w.restart()
		w.ended(id1, lease.Deleted)
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeConflict, "has ended: deleted")
		w.pass(30*time.Minute - time.Nanosecond)
		w.ended(id1, lease.Deleted)
		w.pass(time.Nanosecond)
		if _, err := w.engine.Get(id1); !errors.Is(err, lifecycle.CodeNotFound) {
			t.Error(err)
		}
		w.create(id2)
		w.must(w.engine.Delete(t.Context(), id2))
		w.crash()
		w.pass(2 * time.Hour)
		w.start()
		if _, err := w.engine.Get(id2); !errors.Is(err, lifecycle.CodeNotFound) {
			t.Error(err)
		}
	})
}

// Who asks for what only the provider can finish hears at once that it is away, and why.
func TestRecoveredWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		w.createLater(t.Context(), id1)
		w.crash()
		w.boot() // its provider stays away, so id1 stays creating
		w.sup.stop(errors.New("exit status 2"))
		begun := time.Now()
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeUnavailable, `provider "mem" is not ready: exit status 2`)
		_, err = w.engine.Stop(t.Context(), id1)
		failed(t, err, lifecycle.CodeUnavailable, "it is still being created", "exit status 2")
		if took := time.Since(begun); took != 0 {
			t.Errorf("they waited %v", took)
		}
		w.must(w.sup.start())
		synctest.Wait()
		w.status(id1, lifecycle.StatusRunning)
		w.boxes(1)
	})
}
