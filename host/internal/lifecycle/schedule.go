package lifecycle

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// schedule wakes sessions at exact times of the engine's clock. One goroutine owns the timer; whoever sets a
// time only moves an entry of the heap. It decides nothing: fire reads again what is due.
type schedule struct {
	now     func() time.Time
	changed chan struct{}

	mu   sync.Mutex
	heap entries
	of   map[*session]*entry
}

type entry struct {
	session *session
	at      time.Time
	index   int
}

func newSchedule(now func() time.Time) *schedule {
	return &schedule{now: now, of: map[*session]*entry{}, changed: make(chan struct{}, 1)}
}

// set gives the session its one wake-up time, in place of an earlier one.
func (q *schedule) set(s *session, at time.Time) {
	q.mu.Lock()
	if e, ok := q.of[s]; ok {
		e.at = at
		heap.Fix(&q.heap, e.index)
	} else {
		e := &entry{session: s, at: at}
		q.of[s] = e
		heap.Push(&q.heap, e)
	}
	q.mu.Unlock()
	poke(q.changed)
}

// next pops an entry that is due, or tells how long to wait for the earliest.
func (q *schedule) next(now time.Time) (s *session, wait time.Duration, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.heap) == 0 {
		return nil, 0, false
	}
	e := q.heap[0]
	if d := e.at.Sub(now); d > 0 {
		return nil, d, true
	}
	heap.Pop(&q.heap)
	delete(q.of, e.session)
	return e.session, 0, true
}

// run calls fire for each session whose time has come, until ctx is done. fire must
// return at once.
func (q *schedule) run(ctx context.Context, fire func(*session)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s, wait, any := q.next(q.now())
		if s != nil {
			fire(s)
			continue
		}
		if !any {
			wait = time.Hour
		}
		timer.Reset(wait) // by the monotonic clock; a suspend pokes
		select {
		case <-ctx.Done():
			return
		case <-q.changed:
		case <-timer.C:
		}
	}
}

type entries []*entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *entries) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
