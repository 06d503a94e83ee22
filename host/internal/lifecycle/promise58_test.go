package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// 5. One session id, one sandbox.
func TestPromise5_SixteenAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(time.Second, false)
		w.mem.Fail(mem.Prepare, mem.Fault{Delay: time.Second})
		var all []<-chan result
		for range 16 {
			all = append(all, w.createLater(t.Context(), id1))
		}
		w.pass(2 * time.Second)
		for _, c := range all {
			if r := w.over(c); r.err != nil || r.session.ID != id1 || r.session.Status != lifecycle.StatusRunning {
				t.Errorf("%+v, %v", r.session, r.err)
			}
		}
		w.boxes(1)
		w.calls(mem.Create, 1)
		w.calls(mem.Prepare, 1)
	})
}

// Creates, deletes and crashes of one id at once: at the end there is one sandbox or none,
// and an acknowledged delete was the last word.
func TestPromise5_ADeleteWins(t *testing.T) {
	for ms := range 14 {
		inBubble(t, func(t *testing.T, w *world) {
			w.store.Delay(2 * time.Millisecond)
			w.mem.Fail(mem.Prepare, mem.Fault{Delay: 2 * time.Millisecond})
			w.mem.Fail(mem.Create, mem.Fault{Delay: 2 * time.Millisecond})
			w.prober.set(2*time.Millisecond, false)
			create := w.createLater(t.Context(), id1)
			w.pass(time.Duration(ms) * time.Millisecond)
			w.must(w.engine.Delete(t.Context(), id1))
			w.boxes(0)
			w.ended(id1, lease.Deleted)
			w.pass(time.Second)
			if r := w.over(create); r.err != nil && !errors.Is(r.err, lifecycle.CodeConflict) {
				t.Errorf("after %d ms: %v", ms, r.err)
			}
			w.boxes(0)
			w.restart()
			w.ended(id1, lease.Deleted)
		})
	}
}

// The host crashes at every instant of a create, and the caller asks again: one sandbox.
func TestPromise5_CrashAtEveryInstant(t *testing.T) {
	for ms := range 16 {
		inBubble(t, func(t *testing.T, w *world) {
			w.store.Delay(2 * time.Millisecond)
			w.mem.Fail(mem.Prepare, mem.Fault{Delay: 2 * time.Millisecond})
			w.mem.Fail(mem.Create, mem.Fault{Delay: 2 * time.Millisecond, After: ms%2 == 0})
			w.prober.set(2*time.Millisecond, false)
			w.createLater(context.Background(), id1)
			w.pass(time.Duration(ms) * time.Millisecond)
			w.crash()
			w.store.Clear()
			w.mem.Clear()
			w.start()
			again := w.createLater(t.Context(), id1)
			w.pass(4 * time.Minute)
			if r := w.over(again); r.err != nil { // it was absent, and is tried once more
				failed(t, r.err, lifecycle.CodeSandboxStartFailed, "the host went down")
				w.create(id1)
			}
			s := w.status(id1, lifecycle.StatusRunning)
			if box := w.boxes(1)[0]; box.ID != s.SandboxID {
				t.Errorf("after %d ms: %s and %s", ms, box.ID, s.SandboxID)
			}
		})
	}
}

// 6. A host touches only what its owner label marks as its own.
func TestPromise6_OthersAreNotTouched(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		// Another owner's, one without an owner, one that can't be read; two of them with the
		// id of a session of ours, and one with its name.
		w.mem.Put(provider.Sandbox{ID: "x1", Owner: "other", SessionID: id1})
		w.mem.Put(provider.Sandbox{ID: "x2", SessionID: id1})
		w.mem.PutUnreadable(provider.Unreadable{ID: "x3", Owner: owner, Reason: "broken"})
		w.mem.Put(provider.Sandbox{ID: "x4", Owner: "other", SessionID: id2, Name: "berth-0123456789ab-" + id2})
		w.create(id1)
		_, err := w.engine.Create(t.Context(), request(id2))
		failed(t, err, lifecycle.CodeConflict)
		w.must(w.engine.Delete(t.Context(), id2))
		w.pass(time.Hour)
		w.restart()
		w.pass(4 * time.Minute)
		w.ended(id1, lease.Expired)
		for i, box := range w.boxes(4) {
			if box.State != provider.StateRunning {
				t.Errorf("%d: %+v", i, box)
			}
		}
	})
}

// 7. A plugin that hangs or lies harms no other provider, and not the host.
func TestPromise7_AHungProvider(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.mem2 = mem.NewBackend("B")
		w.limits.MaxCreating, w.limits.MaxReaping = 2, 2
		w.templates = append(w.templates, &template{name: "other", provider: "mem2", ttl: time.Minute})
		w.start()
		for range 6 {
			w.create("")
		}
		for _, verb := range []mem.Verb{mem.Prepare, mem.Create, mem.Get, mem.List, mem.Stop, mem.Delete, mem.Identity} {
			w.mem.Fail(verb, mem.Fault{Hang: true})
		}
		for range 4 {
			w.createLater(t.Context(), "")
		}
		w.pass(5 * time.Minute) // and now all of them are due, too
		req := request(id1)
		req.Template = "other"
		begun := time.Now()
		s, err := w.engine.Create(t.Context(), req)
		w.must(err)
		if time.Since(begun) != 0 {
			t.Errorf("it took %v", time.Since(begun))
		}
		w.pass(time.Minute)
		if end := w.ended(id1, lease.Expired); !end.Ended.At.Equal(s.ExpiresAt) {
			t.Errorf("it ended %v late", end.Ended.At.Sub(s.ExpiresAt))
		}
		if len(w.mem2.Sandboxes()) != 0 {
			t.Error("its sandbox is still there")
		}
	})
}

// A provider that panics in this process is the supervisor's; one that answers nonsense to
// everything is refused.
func TestPromise7_ALyingProvider(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		for _, verb := range []mem.Verb{mem.Get, mem.List} {
			w.mem.Fail(verb, mem.Fault{Lie: func(s *provider.Sandbox) {
				*s = provider.Sandbox{ID: "", State: "zombie", Endpoint: &provider.Endpoint{}}
			}})
		}
		w.mem.Fail(mem.Stop, mem.Fault{Outcome: "?"})
		w.mem.Fail(mem.Delete, mem.Fault{Outcome: "?", Times: 10})
		w.engine.SandboxEvent("mem", provider.Event{SandboxID: w.get(id1).SandboxID, Kind: "?"})
		w.pass(10 * time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		_, err := w.engine.Stop(t.Context(), id1)
		failed(t, err, lifecycle.CodeSandboxStopFailed, "answer is refused")
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeSandboxStopFailed, "answer is refused")
		w.pass(10 * time.Minute)
		w.ended(id1, lease.Deleted)
	})
}

// 8. Unknown or unsafe is refused with a reason, never guessed. (See also
// TestCreateRefusesBadInput and TestCreateFails.)
func TestPromise8_ARefusalMakesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refused := &provider.Error{Class: provider.Unsupported, Op: "create", Message: "swap can't be limited here"}
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: refused})
		_, err := w.engine.Create(t.Context(), request(id1))
		e := failed(t, err, lifecycle.CodeSandboxStartFailed, "swap can't be limited here")
		if !errors.Is(e, provider.Unsupported) {
			t.Error("the class is lost")
		}
		w.boxes(0)
		w.ended(id1, lease.Failed)
	})
}

// A provider that does not say which backend it is on gets no create.
func TestPromise8_ABackendWithoutAName(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.mem.SetIdentity("")
		w.start()
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeUnavailable, `provider "mem" does not say which backend it is on`)
		w.calls(mem.Create, 0)
	})
}
