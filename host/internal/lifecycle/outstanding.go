package lifecycle

import "github.com/berth-dev/berth/host/internal/lease"

// Unended is a session that is past its deadline, or was asked to end, and has not ended.
type Unended struct {
	Session
	Tries int   // that failed, since its provider was last READY
	Err   error // of the last of them; nil when there was none
}

// Outstanding tells which sessions are to end and have not.
func (e *Engine) Outstanding() []Unended {
	now := e.clock.now()
	var list []Unended
	for _, s := range e.all() {
		s.mu.Lock()
		rec, tries, failure := s.rec, s.tries, s.failure
		to := rec.State == lease.Stopping || rec.State == lease.Deleting || rec.State != lease.Ended && s.dueAt(now)
		s.mu.Unlock()
		if to {
			list = append(list, Unended{e.view(rec), tries, failure})
		}
	}
	return list
}
