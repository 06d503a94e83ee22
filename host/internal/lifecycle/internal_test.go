package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/berth-dev/berth/host/internal/lease"
)

// What has changed is told first and becomes visible then, under one lock.
func TestPublishTellsFirst(t *testing.T) {
	h := &hub{}
	w := &watcher{events: make(chan *Event, 1)}
	h.watchers = map[*watcher]struct{}{w: {}}
	applied := false
	h.publish(EventChanged, func() Session { return Session{ID: "s"} }, func(uint64) {
		applied = true
		if len(w.events) != 1 {
			t.Error("it becomes visible before it is told")
		}
		if h.mu.TryLock() {
			t.Error("another change may come between")
		}
	})
	if ev := <-w.events; !applied || ev.Seq != 1 || ev.Session.ID != "s" {
		t.Errorf("%+v", ev)
	}
}

// A delete whose intent came just before an operation began ends that, too.
func TestInterruptibleAfterADelete(t *testing.T) {
	s := newSession(lease.Record{SessionID: "s", State: lease.Deleting})
	ctx, end := s.interruptible(context.Background())
	defer end()
	if !errors.Is(context.Cause(ctx), errDeleted) {
		t.Errorf("it goes on: %v", context.Cause(ctx))
	}
}

// A snapshot is taken while the world goes on: it holds nobody up, and no event after it
// goes back behind what it has shown.
func TestSnapshotHoldsNobodyUp(t *testing.T) {
	h := &hub{}
	change := func(id string, status Status) (seq uint64) {
		h.publish(EventChanged, func() Session { return Session{ID: id, Status: status} }, func(n uint64) { seq = n })
		return seq
	}
	change("a", StatusCreating)
	snapshot := func() iter.Seq[standing] {
		return func(yield func(standing) bool) {
			change("a", StatusRunning)
			told := change("a", StatusEnded)
			_ = yield(standing{Session{ID: "a", Status: StatusEnded}, told}) && yield(standing{Session{ID: "b"}, 0})
			change("b", StatusRunning)
		}
	}
	var got []string
	for ev := range h.watch(t.Context(), snapshot) {
		got = append(got, fmt.Sprintf("%d %s %s %s", ev.Seq, ev.Type, ev.Session.ID, ev.Session.Status))
		if ev.Session.ID == "b" && ev.Type == EventChanged {
			break
		}
	}
	want := []string{"1 snapshot a ended", "1 snapshot b ", "1 synced  ", "2 changed a ended", "3 changed a ended", "4 changed b running"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
