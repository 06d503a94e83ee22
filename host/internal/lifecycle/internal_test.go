package lifecycle

import (
	"context"
	"errors"
	"testing"

	"github.com/berth-dev/berth/host/internal/lease"
)

// What has changed is told first and becomes visible then, under one lock.
func TestPublishTellsFirst(t *testing.T) {
	h := &hub{}
	w := &watcher{events: make(chan *Event, 1)}
	h.watchers = map[*watcher]struct{}{w: {}}
	applied := false
	h.publish(EventChanged, func() Session { return Session{ID: "s"} }, func() {
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
