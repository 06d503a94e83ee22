package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// attend gives a session what it needs now, in a goroutine of its own. It is called at
// the session's time in the schedule, after events, and when its provider is back. It
// returns at once; a call during another makes that one look again.
func (e *Engine) attend(s *session) {
	s.mu.Lock()
	if s.attending {
		s.again = true
		if s.create != nil && s.dueAt(e.clock.now()) {
			if s.interrupt != nil {
				s.interrupt(errDeadline) // a recovery that waits for its sandbox to be ready
			}
			if s.queued != nil {
				close(s.queued) // or for its turn
				s.queued = nil
			}
		} else if s.create != nil && !s.deadline.IsZero() {
			e.schedule.set(s, s.deadline) // what woke it has used up its one wake-up
		}
		s.mu.Unlock()
		return
	}
	s.attending = true
	s.mu.Unlock()
	if !e.spawn(func() {
		for again := true; again; {
			e.attendOnce(s)
			s.mu.Lock()
			again = s.again
			s.again, s.attending = false, again
			s.mu.Unlock()
		}
	}) {
		s.mu.Lock()
		s.attending = false
		s.mu.Unlock()
	}
}

func (e *Engine) attendOnce(s *session) {
	s.mu.Lock()
	rec, inFlight := s.rec, s.inFlight()
	recovering := s.create != nil && !s.dueAt(e.clock.now())
	s.mu.Unlock()
	switch {
	case rec.State == lease.Ended:
		e.prune(s)
		return
	case inFlight:
		e.endLateCreate(s)
		return // runCreate reschedules when it is over
	}
	defer e.reschedule(s)
	if !s.needs(e.clock.now()) {
		return
	}
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "attend"); err != nil {
		s.mu.Lock()
		s.tries++
		s.failure = err
		s.mu.Unlock()
		return // woken when the provider is back
	}
	turns, late := b.reaping, (chan struct{})(nil)
	if recovering {
		turns = b.creating // readiness may take long, and must not keep the reaper waiting
		late = s.queue()
		e.schedule.set(s, s.dueTime())
	}
	got := turns.take(e.closing, late)
	s.unqueue()
	if !got {
		return // at the deadline it is the reaper's
	}
	defer turns.release()
	if err := e.settleNow(e.base, s); err != nil {
		e.log.Warn("not done; it is tried again", "session_id", s.id, "state", s.record().State, "err", err)
	}
}

// queue returns a channel that is closed at the deadline, unless unqueue comes before.
func (s *session) queue() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = make(chan struct{})
	return s.queued
}

func (s *session) unqueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = nil
}

// endLateCreate ends a create whose deadline has passed. The write lock is held, so an
// extension came before this or comes too late.
func (e *Engine) endLateCreate(s *session) {
	if take(e.base, s.write) != nil {
		return
	}
	defer release(s.write)
	if s.due(e.clock.now()) {
		s.interruptCreate(errDeadline)
	} else {
		e.reschedule(s)
	}
}

// needs reports whether there is something to be done about the session.
func (s *session) needs(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.needsAt(now)
}

func (s *session) needsAt(now time.Time) bool {
	switch s.rec.State {
	case lease.Ended:
		return false
	case lease.Stopping, lease.Deleting:
		return true
	}
	return s.suspect || s.create != nil || s.dueAt(now)
}

func (s *session) dueTime() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline
}

// reschedule sets the session's next wake-up: the next try of what is not done, the
// deadline, or the end of its terminal record. Whoever changes one of these calls it
// after; the last call sees all of it.
func (e *Engine) reschedule(s *session) {
	now := e.clock.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.deadline
	switch {
	case s.rec.State == lease.Ended:
		at = s.forget
	case s.inFlight():
	case s.create != nil && s.tries == 0 && s.rec.State == lease.Creating && !s.dueAt(now):
		// The next sweep looks again.
	case s.needsAt(now):
		retry := now.Add(retryAfter(s.tries))
		if !at.After(now) || at.After(retry) { // else the deadline comes first
			at = retry
		}
	}
	if !at.IsZero() {
		e.schedule.set(s, at)
	}
}

// retryAfter grows from a second to half a minute.
func retryAfter(tries int) time.Duration {
	return min(time.Second<<min(max(tries-1, 0), 5), 30*time.Second)
}

// settleNow takes the token and settles the session once.
func (e *Engine) settleNow(ctx context.Context, s *session) error {
	if err := take(ctx, s.token); err != nil {
		return err
	}
	defer release(s.token)
	err := e.settle(ctx, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
	if err != nil {
		s.tries++
	} else {
		s.tries = 0
	}
	return err
}

// settle does what the record asks for. The token is held, and everything is read anew.
func (e *Engine) settle(ctx context.Context, s *session) error {
	s.mu.Lock()
	rec, recovering, suspect := s.rec, s.create != nil, s.suspect
	s.mu.Unlock()
	switch {
	case rec.State == lease.Ended:
		return nil
	case rec.State == lease.Deleting:
		return e.reap(ctx, s)
	case s.due(e.clock.now()) || rec.State == lease.Stopping && rec.Reason != "":
		return e.expire(ctx, s) // begun before, where the clock was set back
	case rec.State == lease.Stopping:
		return e.finishStop(ctx, s)
	case recovering:
		return e.recover(ctx, s)
	case suspect:
		return e.investigate(ctx, s)
	}
	return nil
}

// settleFor settles on behalf of a caller, who may leave; the work goes on.
func (e *Engine) settleFor(ctx context.Context, s *session) error {
	result := make(chan error, 1)
	if !e.spawn(func() {
		work, cancel := e.detach(ctx)
		defer cancel(nil)
		err := e.settleNow(work, s)
		e.reschedule(s)
		result <- err
	}) {
		return &provider.Error{Class: provider.Unavailable, Err: errStopping}
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
