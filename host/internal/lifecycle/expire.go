package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// expire ends a session whose deadline has passed: politely, then by force. Its deadline is on
// disk, so it needs no write to begin, and begins also when none is possible. One is made all
// the same: a stop that is on its way when the host dies is not called back, so where the wall
// clock is set back meanwhile, the next host must not take the session for one that may still
// be extended. The token is held.
func (e *Engine) expire(ctx context.Context, s *session) error {
	rec := s.record()
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "expire"); err != nil {
		return err
	}
	if err := crash.Point("host.expire.due"); err != nil {
		return err
	}
	reason := lease.Expired
	if rec.State == lease.Creating {
		reason = lease.Failed // it was found at the start and never came to run
	}
	if (rec.State == lease.Running || rec.State == lease.Stopping) && rec.SandboxID != "" {
		if err := e.amendAnyway(s, e.stillDue(s, lease.Stopping, reason)); err != nil {
			return unlessExtended(err)
		}
		begun := e.clock.now()
		_, err := e.halt(ctx, s, b, rec)
		if provider.ClassOf(err) == provider.Unavailable && !s.stuck(b) {
			return err
		}
		e.countLag(s, begun)
		if err != nil {
			e.log.Warn("an expired sandbox did not stop politely; it is removed by force", "session_id", s.id, "err", err)
		}
	}
	if err := e.amendVisible(s, e.stillDue(s, lease.Deleting, reason)); err != nil {
		return unlessExtended(err)
	}
	return e.reap(ctx, s)
}

// politeTries is how often a stop may fail as Unavailable, on a provider that is READY,
// before the sandbox is removed by force.
const politeTries = 3

func (s *session) stuck(b *backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries >= politeTries-1 && b.Status().State == Ready
}

// stillDue moves a record on, unless it was extended just before. The record's write
// lock is held while it runs, so an extension came before it or comes too late.
func (e *Engine) stillDue(s *session, state lease.State, reason lease.Reason) func(*lease.Record) error {
	return func(r *lease.Record) error {
		switch {
		case r.State == lease.Deleting: // a delete came between; its reason stays
		case r.State == lease.Stopping && r.Reason != "": // begun before
			r.State = state
		case !s.due(e.clock.now()):
			return errExtended
		default:
			r.State, r.Reason = state, reason
		}
		return nil
	}
}

func unlessExtended(err error) error {
	if errors.Is(err, errExtended) {
		return nil
	}
	return err
}

// reap is the teardown of a session whose record says why. It counts the lag of one that
// has expired.
func (e *Engine) reap(ctx context.Context, s *session) error {
	expired, begun := s.record().Reason == lease.Expired, e.clock.now()
	err := e.teardown(ctx, s)
	if expired && provider.ClassOf(err) != provider.Unavailable {
		e.countLag(s, begun)
	}
	return err
}

// countLag tells how long after its deadline the teardown of an expired session began,
// once: when the provider has answered.
func (e *Engine) countLag(s *session, begun time.Time) {
	s.mu.Lock()
	tell := !s.lagged
	lag, name := begun.Sub(s.deadline), s.rec.Provider
	s.lagged = true
	s.mu.Unlock()
	if tell {
		e.observer.ExpiryLag(name, lag)
	}
}
