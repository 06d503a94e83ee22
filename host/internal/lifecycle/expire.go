package lifecycle

import (
	"context"
	"errors"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// expire ends a session whose deadline has passed: politely, then by force. It begins
// without a write: the deadline is on disk. The token is held.
func (e *Engine) expire(ctx context.Context, s *session) error {
	rec := s.record()
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "expire"); err != nil {
		return err
	}
	reason := lease.Expired
	if rec.State == lease.Creating {
		reason = lease.Failed // it was found at the start and never came to run
	}
	if (rec.State == lease.Running || rec.State == lease.Stopping) && rec.SandboxID != "" {
		if err := e.amendVisible(s, e.stillDue(s, lease.Stopping, reason)); err != nil {
			return unlessExtended(err)
		}
		e.countLag(s)
		if there, err := e.halt(ctx, s, b, rec); err != nil && there && provider.ClassOf(err) == provider.Unavailable {
			return err
		} else if err != nil {
			e.log.Warn("an expired sandbox did not stop politely; it is removed by force", "session_id", s.id, "err", err)
		}
	}
	if err := e.amendVisible(s, e.stillDue(s, lease.Deleting, reason)); err != nil {
		return unlessExtended(err)
	}
	e.countLag(s)
	return e.teardown(ctx, s)
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
