package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func orphan(session string) provider.Sandbox {
	return provider.Sandbox{Owner: owner, SessionID: session, ChatID: chat}
}

func (w *world) orphans(want ...string) {
	w.t.Helper()
	_, _, _, got := w.obs.all()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("orphans were counted as %v, want %v", got, want)
	}
}

// Ours, without a record: it goes after two lists an interval apart, once it is older than
// create_timeout.
func TestOrphan(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.pass(time.Second)
		w.mem.Put(orphan(id1))
		w.pass(2*time.Minute - 2*time.Second)
		w.boxes(1)
		w.pass(time.Minute)
		w.boxes(1) // listed at 1m and 2m; younger than create_timeout
		w.pass(time.Minute)
		w.boxes(0)
		w.orphans("deleted")
	})
}

// Broken event streams bring sweeps; they do not shorten the interval.
func TestOrphanIntervalIsNotShortened(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		old := orphan(id1)
		w.pass(10 * time.Minute)
		old.CreatedAt = time.Now().Add(-9 * time.Minute)
		w.mem.Put(old)
		for range 59 {
			w.engine.EventsBroken("mem")
			w.pass(time.Second)
			w.boxes(1)
		}
		for range 4 {
			w.engine.EventsBroken("mem")
			w.pass(time.Second)
		}
		w.boxes(0)
		w.orphans("deleted")
	})
}

// A list that fails in between begins nothing anew and ends nothing; a list without it does.
func TestOrphanNeedsTwoCompleteLists(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.pass(3 * time.Minute)
		box := orphan(id1)
		box.CreatedAt, box.ID = time.Now().Add(-150*time.Second), "o"
		w.mem.Put(box)
		w.pass(time.Minute) // first
		w.mem.Fail(mem.List, mem.Fault{Times: 2, Cut: 1})
		w.pass(2 * time.Minute)
		w.boxes(1)
		w.mem.Vanish("o")
		w.pass(time.Minute)
		w.mem.Put(box)
		w.pass(time.Minute)
		w.boxes(1)
		w.pass(time.Minute)
		w.boxes(0)
	})
}

// A second sandbox of a session that lives with another is an orphan, whatever its label
// says: the session's own one stays.
func TestOrphanOfALivingSession(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		second := orphan(id1)
		second.CreatedAt, second.ID = time.Now(), "second"
		w.mem.Put(second)
		w.pass(4 * time.Minute)
		if boxes := w.mem.Sandboxes(); len(boxes) != 1 || boxes[0].ID != s.SandboxID {
			t.Fatalf("left are %+v, want %s alone", boxes, s.SandboxID)
		}
		w.orphans("deleted")
	})
}

// A delete that fails is tried again by the next sweep, and counted once.
func TestOrphanThatStays(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Put(orphan(id1))
		w.mem.Fail(mem.Delete, mem.Fault{Times: 2, Err: errAway})
		w.pass(10 * time.Minute)
		w.boxes(0)
		w.orphans("deleted")
		w.calls(mem.Delete, 3)
	})
}

// The backend changes between the list and the delete.
func TestOrphanOfAnotherBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Put(orphan(id1))
		w.mem.SetIdentity("B")
		w.pass(10 * time.Minute)
		w.boxes(1)
		w.orphans()
	})
}

// What is not ours, or can't be read, is left alone and counted once.
func TestForeignAndUnreadable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Put(provider.Sandbox{Owner: "another", SessionID: id1})
		w.mem.Put(provider.Sandbox{SessionID: id2}) // without an owner
		w.mem.PutUnreadable(provider.Unreadable{Owner: owner, Reason: "chat_id is no UUID"})
		w.pass(30 * time.Minute)
		w.boxes(3)
		w.orphans("unreadable", "foreign", "foreign")
		w.calls(mem.Delete, 0)
		w.calls(mem.Stop, 0)
		if all, _ := w.engine.List(lifecycle.Filter{All: true}); len(all) != 0 {
			t.Errorf("listed: %+v", all)
		}
	})
}

// Two providers on one backend do not take each other's sandboxes for orphans, nor does a
// provider that was given another name.
func TestTwoProvidersOnOneBackend(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		long(w)
		w.mem2 = w.mem
		w.templates = append(w.templates, &template{name: "other", provider: "mem2", ttl: 10 * time.Hour})
		w.start()
		w.create(id1)
		req := request(id2)
		req.Template = "other"
		_, err := w.engine.Create(t.Context(), req)
		w.must(err)
		w.pass(time.Hour)
		w.boxes(2)
		w.status(id1, lifecycle.StatusRunning)
		w.status(id2, lifecycle.StatusRunning)

		w.crash()
		w.sup2.close()
		w.mem2, w.sup2 = nil, nil // its block is gone from the configuration
		w.templates = w.templates[:1]
		w.start()
		w.pass(time.Hour)
		w.boxes(2)
		w.status(id1, lifecycle.StatusRunning)
		w.status(id2, lifecycle.StatusUnknown)
		failed(t, w.engine.Delete(t.Context(), id2), lifecycle.CodeUnavailable, `provider "mem2" is not configured`)
	})
}
