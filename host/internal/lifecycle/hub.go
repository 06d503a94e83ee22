package lifecycle

import (
	"context"
	"iter"
	"sync"

	"github.com/berth-dev/berth/host/internal/api"
)

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
	events chan *Event // shared between watchers
}

// publish tells the watchers and then makes the change visible, which gets the event's
// number. It never waits.
func (h *hub) publish(typ EventType, view func() Session, apply func(seq uint64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(func() Event { return Event{Type: typ, Session: view()} })
	if apply != nil {
		apply(h.seq)
	}
}

// forget makes a session invisible, if it still is what gone says, and tells the watchers.
func (h *hub) forget(gone func() (Session, bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := gone(); ok {
		h.tell(func() Event { return Event{Type: EventPruned, Session: v} })
	}
}

// progress tells the watchers how far a provider is with an image.
func (h *hub) progress(p api.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(func() Event { return Event{Type: EventProgress, Progress: &p} })
}

// tell numbers an event and sends it. A watcher whose buffer is full is cut off. h.mu is
// held.
func (h *hub) tell(what func() Event) {
	h.seq++
	if len(h.watchers) == 0 {
		return
	}
	ev := what()
	ev.Seq = h.seq
	for w := range h.watchers {
		select {
		case w.events <- &ev:
		default:
			close(w.events)
			delete(h.watchers, w)
		}
	}
}

// standing is a session in a snapshot, and the number of the event that told its state.
type standing struct {
	view Session
	told uint64
}

// watch yields a snapshot, then every event until ctx is done. A watcher that lags more
// than watchBuffer events behind gets one resync and the sequence ends.
//
// The snapshot is taken while the world goes on: it may be newer than the events that
// follow. Those come all the same, without a gap in their numbers, but they tell the state
// that the snapshot has shown: no watcher sees a session go back.
func (h *hub) watch(ctx context.Context, snapshot func() iter.Seq[standing]) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		w := &watcher{events: make(chan *Event, watchBuffer)}
		h.mu.Lock()
		if h.watchers == nil {
			h.watchers = map[*watcher]struct{}{}
		}
		h.watchers[w] = struct{}{}
		seq := h.seq
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			delete(h.watchers, w)
			h.mu.Unlock()
		}()
		shown := map[string]standing{} // sessions whose state in the snapshot is newer than seq
		for s := range snapshot() {
			if s.told > seq {
				shown[s.view.ID] = s
			}
			if !yield(Event{Seq: seq, Type: EventSnapshot, Session: s.view}) {
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
				now := *ev
				if s := shown[ev.Session.ID]; ev.Seq <= s.told && ev.Type == EventChanged {
					now.Session = s.view
				}
				if !yield(now) {
					return
				}
			}
		}
	}
}
