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
	rec, inFlight := s.rec, s.create != nil && !s.create.recovered
	s.mu.Unlock()
	switch {
	case rec.State == lease.Ended:
		e.prune(s, rec)
		return
	case inFlight:
		if s.due(time.Now()) {
			s.interruptCreate(errDeadline)
		}
		return // it reschedules when it is over
	}
	defer e.reschedule(s)
	if !s.needs(time.Now()) {
		return
	}
	b := e.backendOf(rec)
	if e.reachable(b, rec, "attend") != nil {
		s.mu.Lock()
		s.tries++
		s.mu.Unlock()
		return // woken when the provider is back
	}
	select {
	case b.reaping <- struct{}{}:
		defer release(b.reaping)
	case <-e.closing:
		return
	}
	if err := e.settleNow(e.base, s); err != nil {
		e.log.Warn("not done; it is tried again", "session_id", s.id, "state", s.record().State, "err", err)
	}
}

// needs reports whether there is something to be done about the session.
func (s *session) needs(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.rec.State {
	case lease.Ended:
		return false
	case lease.Stopping, lease.Deleting:
		return true
	}
	return s.suspect || s.create != nil || !s.deadline.IsZero() && !now.Before(s.deadline)
}

// reschedule sets the session's next wake-up: the next try of what is not done, the
// deadline, or the end of its terminal record.
func (e *Engine) reschedule(s *session) {
	now := time.Now()
	needs := s.needs(now)
	s.mu.Lock()
	state, deadline, tries, recovering := s.rec.State, s.deadline, s.tries, s.create != nil
	s.mu.Unlock()
	switch {
	case state == lease.Ended, deadline.IsZero() && !needs:
		return // end has set it; or a create that will
	case needs && !(recovering && tries == 0 && now.Before(deadline)):
		e.schedule.set(s, now.Add(retryAfter(tries)))
	default:
		e.schedule.set(s, deadline)
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
		e.countLag(s)
		return e.teardown(ctx, s)
	case s.due(time.Now()):
		return e.expire(ctx, s)
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

// countLag tells how late the teardown of an expired session begins, once.
func (e *Engine) countLag(s *session) {
	now := time.Now()
	s.mu.Lock()
	tell := !s.lagged && !s.deadline.IsZero() && !now.Before(s.deadline)
	lag, name := now.Sub(s.deadline), s.rec.Provider
	s.lagged = s.lagged || tell
	s.mu.Unlock()
	if tell {
		e.observer.ExpiryLag(name, lag)
	}
}

// prune forgets a terminal record.
func (e *Engine) prune(s *session, rec lease.Record) {
	if err := e.store.Delete(e.base, s.id); err != nil {
		e.schedule.set(s, time.Now().Add(retryAfter(6)))
		return
	}
	e.hub.publish(EventPruned, func() Session { return e.view(rec) }, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.sessions[s.id] == s {
			delete(e.sessions, s.id)
		}
	})
}
