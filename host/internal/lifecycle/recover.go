package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// recover decides about a session that an earlier life of the host was creating. Its
// sandbox runs: readiness again, then running. It is there otherwise: it goes, and the
// session has failed. It is absent: the session stays creating until create_timeout has
// passed since the start and a second complete list agrees. The token is held.
func (e *Engine) recover(ctx context.Context, s *session) error {
	rec := s.record()
	if rec.Identity == "" {
		return e.recoverFailed(ctx, s, "the host went down before its sandbox was asked for")
	}
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "get"); err != nil {
		return err
	}
	ref := provider.Ref{ID: rec.SandboxID}
	if ref.ID == "" {
		ref = provider.Ref{Name: rec.SandboxName}
	}
	get, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	sb, err := b.Get(get, ref)
	switch {
	case isNotFound(err):
		return e.recoverAbsent(ctx, s, b, rec, ref)
	case err != nil:
		return err
	case sb.ID == "", rec.SandboxID != "" && sb.ID != rec.SandboxID:
		return e.refusedSandbox(rec, sb)
	case !e.madeFor(rec, sb):
		return e.recoverAbsent(ctx, s, b, rec, ref)
	case sb.State == provider.StateUnknown:
		return nil // the next sweep looks again
	case sb.State != provider.StateRunning:
		return e.recoverFailed(ctx, s, "the host went down while it was being created, and its sandbox did not run")
	}
	if err := crash.Point("host.recover.found"); err != nil {
		return err
	}
	if err := e.amendVisible(s, func(r *lease.Record) error {
		r.SandboxID, r.FirstExpiresAt = sb.ID, sb.ExpiresAt
		if sb.Endpoint != nil {
			r.Endpoint = &lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
		}
		return nil
	}); err != nil {
		return err
	}
	return e.recoverRunning(ctx, s, b)
}

// recoverRunning waits until the sandbox of an interrupted create is ready. A delete, the
// deadline, and the host's end interrupt it.
func (e *Engine) recoverRunning(ctx context.Context, s *session, b *backend) error {
	waiting, end := s.interruptible(ctx)
	err := e.awaitReady(waiting, s, b)
	cause := context.Cause(waiting)
	end()
	switch {
	case cause != nil && err != nil:
		return cause // what is due, or was asked for, is done next
	case provider.ClassOf(err) == provider.Unavailable:
		return err
	case err != nil:
		return e.recoverFailed(ctx, s, err.Error())
	}
	// On disk before it is told, as in every create: else a crash would ask for readiness
	// once more, of a session that was acknowledged.
	err = e.amend(ctx, s, func(r *lease.Record) error {
		switch {
		case r.State != lease.Creating:
			return errDeleted
		case s.due(e.clock.now()):
			return errDeadline
		}
		r.State = lease.Running
		return nil
	})
	if err == nil {
		e.recovered(s, nil)
	}
	return err
}

func (e *Engine) recoverAbsent(ctx context.Context, s *session, b *backend, rec lease.Record, ref provider.Ref) error {
	s.mu.Lock()
	lists := s.absent
	s.mu.Unlock()
	if lists < 2 || time.Since(e.started) < e.limits().CreateTimeout {
		return nil // the next sweep looks again
	}
	if err := e.absent(ctx, b, rec, ref); err != nil {
		return err
	}
	return e.recoverFailed(ctx, s, "the host went down while it was being created, and no sandbox came of it")
}

func (e *Engine) recoverFailed(ctx context.Context, s *session, cause string) error {
	err := e.amendAnyway(s, func(r *lease.Record) error {
		if r.State == lease.Creating {
			r.State, r.Reason, r.Cause = lease.Deleting, lease.Failed, clip(cause, maxCause)
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.recovered(s, e.fail("create", s, CodeSandboxStartFailed, cause, nil))
	if err := crash.Point("host.recover.failing"); err != nil {
		return err
	}
	return e.teardown(ctx, s)
}

// recovered tells whoever joined the interrupted create how it came out.
func (e *Engine) recovered(s *session, err error) {
	s.mu.Lock()
	c := s.create
	s.create = nil
	s.mu.Unlock()
	if c != nil {
		c.err = err
		close(c.done)
	}
}

// interrupted reports whether the session's create is one of an earlier life.
func (s *session) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create != nil && s.create.recovered
}
