package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
)

// failCreate ends a session that never came to run, and makes the caller's error. The
// token is held.
func (e *Engine) failCreate(life context.Context, s *session, b *backend, err error) error {
	rec := s.record()
	bad := e.fail("create", s, codeFor(err, CodeSandboxStartFailed), "", err)
	switch cause := context.Cause(life); {
	case errors.Is(err, errDeleted) || rec.State == lease.Deleting:
		// Whoever deleted it waits for the token and does the rest.
		bad.Code, bad.Err = CodeConflict, errDeleted
		return bad
	case errors.Is(err, errLeft), errors.Is(err, errStopping):
		bad.Code = CodeUnavailable
	case errors.Is(cause, errLeft), errors.Is(cause, errStopping):
		bad.Code, bad.Err = CodeUnavailable, cause
	case errors.Is(err, errDeadline):
		bad.Code = CodeSandboxStartFailed
	}
	why := bad.Err.Error()
	if tail := e.logTail(s, b, err); tail != "" {
		bad.Err = fmt.Errorf("%w; the last that it printed:\n%s", bad.Err, tail)
	}
	e.log.Warn("a create failed", "session_id", s.id, "chat_id", rec.ChatID, "template", rec.Template, "code", string(bad.Code), "err", bad.Err)

	intent := func(r *lease.Record) error {
		if r.State == lease.Deleting {
			return errDeleted
		}
		r.State, r.Reason, r.Cause = lease.Deleting, lease.Failed, clip(why, maxCause)
		return nil
	}
	asked := rec.Identity != "" // the lease was written, so a create may have been sent
	if !asked {
		if e.amendVisible(s, intent) == nil {
			e.end(s, nil)
		}
		return bad
	}
	if e.amendAnyway(s, intent) != nil {
		return bad
	}
	if crash.Point("host.create.failing") != nil {
		return bad
	}
	ctx, cancel := e.detach(life)
	defer cancel(nil)
	if err := e.teardown(ctx, s); err != nil {
		e.log.Warn("a failed create is not cleaned up; it is tried again", "session_id", s.id, "err", err)
	}
	return bad
}
