package lifecycle

import (
	"context"
	"iter"
	"sync"
)

// EventType says what an Event tells.
type EventType string

// The types of event.
const (
	EventSnapshot EventType = "snapshot" // a session that was there when the watch began
	EventSynced   EventType = "synced"   // the snapshot is complete
	EventChanged  EventType = "changed"  // a session began, changed, or ended
	EventPruned   EventType = "pruned"   // a terminal record was forgotten
	EventResync   EventType = "resync"   // the watcher was too slow and has missed events: watch again
)

// Event is what a watcher is told. Seq grows by one with each event of the engine; a
// snapshot's events bear the number of the last event before it.
type Event struct {
	Seq     uint64
	Type    EventType
	Session Session // empty for synced and resync
}

// watchBuffer is how many events a watcher may lag behind.
const watchBuffer = 1024

// hub makes records visible and tells the watchers, in one order for all.
type hub struct {
	mu       sync.Mutex
	seq      uint64
	watchers map[*watcher]struct{}
}

// watcher is one reader of Watch. Its channel is closed when events were lost.
type watcher struct {
	events chan Event
}

// publish tells the watchers and then makes the change visible. It never waits.
func (h *hub) publish(typ EventType, view func() Session, apply func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(typ, view)
	if apply != nil {
		apply()
	}
}

// forget makes a session invisible, if it still is what gone says, and tells the watchers.
func (h *hub) forget(gone func() (Session, bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := gone(); ok {
		h.tell(EventPruned, func() Session { return v })
	}
}

// tell numbers an event and sends it. A watcher whose buffer is full is cut off. h.mu is
// held.
func (h *hub) tell(typ EventType, view func() Session) {
	h.seq++
	if len(h.watchers) == 0 {
		return
	}
	ev := Event{Seq: h.seq, Type: typ, Session: view()}
	for w := range h.watchers {
		select {
		case w.events <- ev:
		default:
			close(w.events)
			delete(h.watchers, w)
		}
	}
}

// watch yields a snapshot, then every event until ctx is done. A watcher that lags more
// than watchBuffer events behind gets one resync and the sequence ends.
func (h *hub) watch(ctx context.Context, snapshot func() []Session) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		w := &watcher{events: make(chan Event, watchBuffer)}
		h.mu.Lock()
		if h.watchers == nil {
			h.watchers = map[*watcher]struct{}{}
		}
		h.watchers[w] = struct{}{}
		seq, sessions := h.seq, snapshot()
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			delete(h.watchers, w)
			h.mu.Unlock()
		}()
		for _, s := range sessions {
			if !yield(Event{Seq: seq, Type: EventSnapshot, Session: s}) {
				return
			}
		}
		if !yield(Event{Seq: seq, Type: EventSynced}) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case ev, open := <-w.events:
				if !open {
					yield(Event{Type: EventResync})
					return
				}
				if !yield(ev) {
					return
				}
			}
		}
	}
}
