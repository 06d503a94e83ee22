package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
)

// Stop ends what runs in the sandbox, politely and then by force, and keeps the sandbox
// until the session's deadline or delete. It returns when the sandbox is stopped. A
// session that is stopped or has ended is success; one that is being deleted is waited
// for. When ctx ends, or the provider can't be asked, the intent stays and is carried
// out by the engine.
//
// Errors: CodeNotFound, CodeUnavailable, CodeSandboxStopFailed.
func (e *Engine) Stop(ctx context.Context, id string) (Session, error) {
	const op = "stop"
	s, err := e.lookup(op, id)
	if err != nil {
		return Session{}, err
	}
	if err := e.awaitCreate(ctx, s); err != nil {
		return Session{}, e.fail(op, s, CodeUnavailable, "it is still being created, and can be stopped when that is done", err)
	}
	err = e.amendAnyway(s, func(r *lease.Record) error {
		if r.State != lease.Running {
			return errAsItIs
		}
		r.State = lease.Stopping
		return nil
	})
	if err != nil && !errors.Is(err, errAsItIs) {
		return Session{}, e.fail(op, s, CodeUnavailable, "", err)
	}
	if err := crash.Point("host.stop.intended"); err != nil {
		return Session{}, e.fail(op, s, CodeUnavailable, s.unfinished("stopped"), err)
	}
	for {
		switch rec := s.record(); rec.State {
		case lease.Stopped, lease.Ended:
			if err := crash.Point("host.stop.acknowledging"); err != nil {
				return Session{}, e.fail(op, s, CodeUnavailable, "", err)
			}
			return e.view(rec), nil
		}
		// A delete that comes between interrupts the stop; the next round waits for it.
		if err := e.settleFor(ctx, s); err != nil {
			return Session{}, e.fail(op, s, codeFor(err, CodeSandboxStopFailed), s.unfinished("stopped"), err)
		}
	}
}

// errAsItIs leaves a record as it is.
var errAsItIs = errors.New("nothing to change")

// finishStop stops the sandbox of a session that is stopping. The token is held.
func (e *Engine) finishStop(ctx context.Context, s *session) error {
	rec := s.record()
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "stop"); err != nil {
		return err
	}
	there, err := e.halt(ctx, s, b, rec)
	if s.record().State == lease.Deleting {
		return nil // a delete interrupted this and waits for the token
	}
	if err == nil {
		err = crash.Point("host.stop.stopped")
	}
	if err != nil {
		return err
	}
	if !there {
		if err := e.amendVisible(s, intend(lease.Removed)); err != nil {
			return err
		}
		return e.teardown(ctx, s)
	}
	return e.amendAnyway(s, func(r *lease.Record) error {
		if r.State == lease.Stopping {
			r.State, r.Endpoint = lease.Stopped, nil
		}
		return nil
	})
}

// awaitCreate returns when no create of the session is in flight. One that a restart has
// interrupted is not waited for while the provider is away.
func (e *Engine) awaitCreate(ctx context.Context, s *session) error {
	s.mu.Lock()
	c := s.create
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	if c.recovered { // by an engine that can do so only when the provider is back
		if err := e.mustBeReady("stop", s.record()); err != nil {
			return err
		}
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.base.Done():
		return errStopping
	}
}

// intend moves a record to Deleting for a reason; a reason that it has already stays. One
// that has ended is left as it is.
func intend(reason lease.Reason) func(*lease.Record) error {
	return func(r *lease.Record) error {
		if r.State == lease.Ended {
			return errAsItIs
		}
		if r.State != lease.Deleting {
			r.State = lease.Deleting
			if r.Reason == "" {
				r.Reason = reason
			}
		}
		return nil
	}
}

// unfinished says what becomes of a stop or a delete that could not be carried out.
func (s *session) unfinished(what string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved {
		return fmt.Sprintf("it is kept in memory alone, for the lease store can't write, and is %s as soon as the provider allows", what)
	}
	return fmt.Sprintf("it is kept as an intent, and is %s as soon as the provider allows", what)
}
