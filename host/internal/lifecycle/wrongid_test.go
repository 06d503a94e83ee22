package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func nameless(sb *provider.Sandbox) { sb.ID = "" }

// A create that a restart interrupted is not taken for one without a sandbox id because
// the provider has answered so: it is asked again.
func TestRecoverRefusesAnAnswerWithoutID(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		w.createLater(t.Context(), id1)
		w.crash()
		w.mem.Clear()
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Lie: nameless})
		w.start()
		w.status(id1, lifecycle.StatusCreating)
		w.pass(time.Minute)
		if s := w.status(id1, lifecycle.StatusRunning); s.SandboxID != w.boxes(1)[0].ID {
			t.Errorf("%+v", s)
		}
	})
}

// A failed create is not over while the provider does not say which sandbox it has left.
func TestTeardownRefusesAnAnswerWithoutID(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Err: errAway})
		w.mem.Fail(mem.Get, mem.Fault{Times: 2, Lie: nameless})
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeSandboxStartFailed, "it has no sandbox id")
		synctest.Wait()
		w.status(id1, lifecycle.StatusDeleting)
		w.pass(5 * time.Second)
		w.ended(id1, lease.Failed)
		w.boxes(0)
	})
}

// After the store was lost, a list gives a sandbox that a session holds to another one: it
// gets no second session.
func TestAdoptTakesNoSandboxTwice(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.pass(time.Second)
		w.crash()
		w.store = leasetest.New()
		w.start()
		w.mem.Fail(mem.List, mem.Fault{Times: 1, Lie: func(sb *provider.Sandbox) { sb.SessionID = id3 }})
		w.pass(3 * time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		all, err := w.engine.List(lifecycle.Filter{All: true})
		if err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		w.orphans("adopted")
		w.boxes(1)
	})
}

// A backend that is replaced by another one while a sandbox is being made gets no session:
// what was made there goes, and the sessions of before are the provider's only ones.
func TestCreateOnAReplacedBackend(t *testing.T) {
	for name, stays := range map[string]bool{"removed": false, "left": true} {
		t.Run(name, func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				before := w.boxes(1)[0]
				w.mem.Fail(mem.Create, mem.Fault{Times: 1, Delay: time.Second})
				if stays {
					w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Err: errAway})
				}
				answer := w.createLater(t.Context(), id2)
				w.mem.SetIdentity("B")
				w.pass(2 * time.Second)
				failed(t, (<-answer).err, lifecycle.CodeUnavailable, `backend changed while it was being created: it was "A", and is "B"`)
				if ids := w.engine.Identities("mem"); len(ids) != 1 || ids[0] != "A" {
					t.Errorf("sessions are on %q", ids)
				}
				w.mem.SetIdentity("A")
				w.pass(5 * time.Second)
				w.ended(id2, lease.Failed)
				w.status(id1, lifecycle.StatusRunning)
				if b := w.boxes(1)[0]; b.ID != before.ID {
					t.Errorf("%+v is left of %+v", b, before)
				}
			})
		})
	}
}
