package lifecycle

import "sync"

// slots lets so many go on at once, in the order in which they came. The number may be
// changed at any time; those who are over it then are not interrupted.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	waiting []chan struct{} // closed when its turn has come
}

func newSlots(limit int) *slots { return &slots{limit: limit} }

// take waits for a slot and reports whether it got one before done or late was closed. A nil
// late never is.
func (s *slots) take(done, late <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-late:
		return false
	default:
	}
	s.mu.Lock()
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-done:
	case <-late:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting {
		if w == turn {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return false
		}
	}
	s.used-- // the turn came in the same moment
	s.next()
	return false
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.next()
}

func (s *slots) resize(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.next()
}

// next gives free slots to those who wait. s.mu is held.
func (s *slots) next() {
	for s.used < s.limit && len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		s.used++
	}
}
