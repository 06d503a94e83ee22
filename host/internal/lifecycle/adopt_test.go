package lifecycle_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Promise 2: a store that is younger than the sandboxes has lost their leases. They are
// adopted: none goes before the deadline that it bears, nor before recovery_grace.
func TestPromise2_LostStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		short, long := w.create(id1), w.create(id2)
		_, err := w.engine.Extend(t.Context(), id1, lifecycle.ExtendRequest{By: time.Hour})
		w.must(err)
		w.limits.RecoveryGrace = 2 * time.Minute
		w.pass(4 * time.Minute)
		third := w.create(id3)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.start()
		begun := time.Now()
		events := w.watch()
		for _, was := range []lifecycle.Session{short, long, third} {
			now := w.status(was.ID, lifecycle.StatusRunning)
			want := was.ExpiresAt
			if grace := begun.Add(2 * time.Minute); want.Before(grace) {
				want = grace
			}
			if !now.ExpiresAt.Equal(want.UTC().Truncate(time.Microsecond)) {
				t.Errorf("%s expires at %v, want %v", was.ID, now.ExpiresAt, want)
			}
			if now.ChatID != was.ChatID || now.AgentID != was.AgentID || now.Template != was.Template || now.SandboxID != was.SandboxID ||
				now.Endpoint == nil || *now.Endpoint != *was.Endpoint {
				t.Errorf("adopted as %+v, it was %+v", now, was)
			}
			if rec := record(t, w.store, was.ID); rec.State != lease.Running || rec.Identity != "A" || rec.Adopted {
				t.Errorf("lease: %+v", rec)
			}
		}
		w.orphans("adopted", "adopted", "adopted")
		w.pass(10 * time.Minute)
		w.orphans("adopted", "adopted", "adopted")
		w.boxes(0)
		for _, id := range []string{id1, id2, id3} {
			w.ended(id, lease.Expired)
		}
		if got := story(events(), id1); got != "stopping deleting ended(expired)" {
			t.Errorf("watchers were told: %s", got)
		}
	})
}

// What was adopted is a session like every other, also after a restart.
func TestAdoptedIsASession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		w.create(id1)
		w.create(id2)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.start()
		again, err := w.engine.Create(t.Context(), request(id1))
		if err != nil || again.ID != id1 {
			t.Errorf("the same request: %+v, %v", again, err)
		}
		more, err := w.engine.Extend(t.Context(), id1, lifecycle.ExtendRequest{By: time.Hour})
		w.must(err)
		w.restart()
		if now := w.status(id1, lifecycle.StatusRunning); !now.ExpiresAt.Equal(more.ExpiresAt) {
			t.Errorf("after a restart it expires at %v, want %v", now.ExpiresAt, more.ExpiresAt)
		}
		w.must(w.engine.Delete(t.Context(), id2))
		w.ended(id2, lease.Deleted)
		w.boxes(1)
	})
}

// A sandbox of ours that does not run may have been stopped, to be read until its deadline:
// that was in the lost store. It stays until then, whoever ended it.
func TestLostStoreKeepsWhatWasStopped(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		s := w.create(id1)
		_, err := w.engine.Stop(t.Context(), id1)
		w.must(err)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.start()
		now := w.status(id1, lifecycle.StatusStopped)
		if now.SandboxID != s.SandboxID || now.Endpoint != nil || time.Until(now.ExpiresAt) != w.limits.RecoveryGrace {
			t.Errorf("%+v", now)
		}
		if rec := record(t, w.store, id1); rec.State != lease.Stopped {
			t.Errorf("lease: %+v", rec)
		}
		w.pass(time.Until(now.ExpiresAt) - time.Nanosecond)
		w.boxes(1)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
		w.boxes(0)
	})
}

// One of another owner that has ended while nobody knew of it ends its session with its exit.
func TestAdoptedThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.adopt = map[string][]string{"mem": {"old-host"}}
		now := time.Now()
		id := w.mem.Put(provider.Sandbox{Owner: "old-host", SessionID: id1, ChatID: chat, State: provider.StateRunning,
			CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)})
		w.mem.Exit(id, 7, false)
		w.start()
		end := w.ended(id1, lease.Exited)
		if end.Ended.ExitCode == nil || *end.Ended.ExitCode != 7 {
			t.Errorf("%+v", end.Ended)
		}
		w.boxes(0)
	})
}

// Promise 6: of others only those are taken over whose owner the operator has named; they
// keep their deadline, and one that has expired gets recovery_grace.
func TestPromise6_AdoptsWhomTheOperatorNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.adopt = map[string][]string{"mem": {"old-host", lifecycle.Unowned}}
		now := time.Now()
		put := func(owner, session string, expires time.Duration) string {
			return w.mem.Put(provider.Sandbox{Owner: owner, SessionID: session, ChatID: chat, State: provider.StateRunning,
				CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(expires)})
		}
		old, unowned, stranger := put("old-host", id1, 3*time.Minute), put("", id2, -time.Minute), put("stranger", id3, -time.Minute)
		w.start()
		if s := w.status(id1, lifecycle.StatusRunning); s.SandboxID != old || s.ExpiresAt.Sub(now) != 3*time.Minute {
			t.Errorf("%+v", s)
		}
		if s := w.status(id2, lifecycle.StatusRunning); s.SandboxID != unowned || s.ExpiresAt.Sub(now) != 10*time.Minute {
			t.Errorf("%+v", s)
		}
		if rec := record(t, w.store, id2); !rec.Adopted || rec.SandboxOwner != "" {
			t.Errorf("lease: %+v", rec)
		}
		w.adopt = nil // the leases know them now
		w.restart()
		w.pass(3 * time.Minute)
		w.ended(id1, lease.Expired)
		w.boxes(2)
		w.must(w.engine.Delete(t.Context(), id2))
		boxes := w.boxes(1)
		if boxes[0].ID != stranger {
			t.Errorf("%+v is left, want the stranger's", boxes[0])
		}
		w.pass(time.Hour)
		w.boxes(1)
		if _, err := w.engine.Get(id3); err == nil {
			t.Error("the stranger's is known")
		}
	})
}

// A sandbox of another owner that was created and not yet started may be started in a moment:
// it is not taken for one that has ended. When it never is, it is.
func TestPromise6_AdoptsNoneThatIsBeingMade(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.adopt = map[string][]string{"mem": {"old"}}
		for _, id := range []string{id1, id2} {
			w.mem.Put(provider.Sandbox{ID: "of " + id, Owner: "old", SessionID: id, State: provider.StateCreated,
				CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		}
		w.start()
		w.boxes(2)
		w.orphans()
		w.mem.SetState("of "+id1, provider.StateRunning)
		w.pass(time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		w.boxes(2)
		w.pass(2 * time.Minute)
		w.ended(id2, lease.Exited)
		w.boxes(1)
	})
}

// One that comes while the host runs, and one whose owner is named by a reload.
func TestAdoptLater(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Put(provider.Sandbox{Owner: "old-host", SessionID: id1, ChatID: chat, State: provider.StateRunning, ExpiresAt: time.Now().Add(time.Hour)})
		w.pass(2 * time.Minute)
		w.orphans("foreign")
		w.adopt = map[string][]string{"mem": {"old-host"}}
		w.newPolicy()
		w.pass(time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		w.orphans("foreign", "adopted")
	})
}

// A session id that is known here is nobody else's.
func TestAdoptTakesNoIDTwice(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.adopt = map[string][]string{"mem": {lifecycle.Unowned}}
		w.start()
		s := w.create(id1)
		w.mem.Put(provider.Sandbox{SessionID: id1, ChatID: chat, State: provider.StateRunning, ExpiresAt: time.Now().Add(time.Hour)})
		w.pass(5 * time.Minute)
		if end := w.ended(id1, lease.Expired); end.SandboxID != s.SandboxID {
			t.Errorf("%+v", end)
		}
		w.pass(10 * time.Minute)
		w.boxes(1)
	})
}

// While the store can't write, an adopted session lives on, and is written later.
func TestAdoptWithoutAStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		w.create(id1)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.store.Fail(leaseFault(1))
		w.start()
		w.status(id1, lifecycle.StatusRunning)
		w.pass(3 * time.Second)
		if rec := record(t, w.store, id1); rec.State != lease.Running {
			t.Errorf("lease: %+v", rec)
		}
	})
}

// A backend that does not say who it is adopts nothing, until it does.
func TestAdoptWaitsForTheIdentity(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		w.create(id1)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.mem.Fail(mem.Identity, mem.Fault{Times: 1}) // the supervisor's question
		w.mem.Fail(mem.Identity, mem.Fault{Times: 1, Err: errAway})
		w.start()
		w.orphans()
		w.pass(time.Minute)
		w.orphans("adopted")
		w.status(id1, lifecycle.StatusRunning)
		w.boxes(1)
	})
}

// What another backend has in the place of the one that holds the sessions is not adopted: the
// sessions would be on two backends, and neither could serve them.
func TestAdoptsNothingOfAnotherBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.adopt = map[string][]string{"mem": {"old-host"}}
		w.restart()
		w.mem.SetIdentity("B") // nobody has noticed yet
		w.mem.Put(provider.Sandbox{Owner: "old-host", SessionID: id2, ChatID: chat, State: provider.StateRunning, ExpiresAt: time.Now().Add(time.Hour)})
		w.pass(2 * time.Minute)
		w.orphans()
		if ids := w.engine.Identities("mem"); len(ids) != 1 || ids[0] == "B" {
			t.Errorf("living sessions on %v", ids)
		}
		w.mem.SetIdentity("A")
		w.pass(2 * time.Minute)
		w.orphans("adopted")
	})
}

// A create that is under way when its backend is replaced by another gets no lease on that:
// with the first one back, the provider serves its sessions again.
func TestCreateMeetsAnotherBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		own := w.engine.Identities("mem")
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Delay: time.Second})
		created := w.createLater(t.Context(), id2)
		synctest.Wait()
		w.changed()
		w.pass(2 * time.Second)
		if r := w.over(created); r.err == nil || !errors.Is(r.err, lifecycle.CodeUnavailable) {
			t.Errorf("the create: %+v", r)
		}
		if ids := w.engine.Identities("mem"); !slices.Equal(ids, own) {
			t.Errorf("living sessions on %v, want %v", ids, own)
		}
		w.ended(id2, lease.Failed)
		w.calls(mem.Create, 1)
	})
}

// changed has the supervisor notice that the backend is another.
func (w *world) changed() {
	w.sup.set(func(st *lifecycle.BackendStatus) {
		st.State, st.Err, st.Identity, st.Changed = lifecycle.Degraded, errAway, "B", true
	})
	synctest.Wait()
}

// Promise 4: sessions of a backend that is gone end as lost when the operator says so, and
// only those; nothing is asked of the backend in its place.
func TestPromise4_AcceptBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.create(id2)
		events := w.watch()
		w.mem.SetIdentity("B")
		w.changed()
		stops, deletes := w.mem.Calls(mem.Stop), w.mem.Calls(mem.Delete)
		w.must(w.engine.AcceptBackend(t.Context(), "mem", "B"))
		synctest.Wait()
		for _, id := range []string{id1, id2} {
			end := w.ended(id, lease.Lost)
			if end.Ended.Message == "" {
				t.Error("it does not say why")
			}
		}
		if w.mem.Calls(mem.Stop) != stops || w.mem.Calls(mem.Delete) != deletes {
			t.Error("the backend in its place was asked")
		}
		if got := story(events(), id1); got != "unknown ended(lost)" {
			t.Errorf("watchers were told: %s", got)
		}
		if ids := w.engine.Identities("mem"); len(ids) != 0 {
			t.Errorf("living sessions on %v", ids)
		}
		w.sup.set(func(st *lifecycle.BackendStatus) { st.State, st.Identity, st.Changed = lifecycle.Ready, "B", false })
		third := w.create(id3)
		w.must(w.engine.AcceptBackend(t.Context(), "mem", "B"))
		if now := w.status(id3, lifecycle.StatusRunning); now.SandboxID != third.SandboxID {
			t.Errorf("%+v", now)
		}
	})
}

// What is under way on a session ends with its backend.
func TestAcceptBackendEndsWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Hang: true})
		stopped := later(func() (lifecycle.Session, error) { return w.engine.Stop(t.Context(), id1) })
		w.prober.set(0, true)
		created := w.createLater(t.Context(), id2)
		synctest.Wait()
		w.mem.SetIdentity("B")
		w.changed()
		w.must(w.engine.AcceptBackend(t.Context(), "mem", "B"))
		w.ended(id1, lease.Lost)
		w.ended(id2, lease.Lost)
		w.over(stopped)
		if r := w.over(created); r.err == nil {
			t.Errorf("%+v", r)
		}
	})
}
