package lifecycle

import (
	"context"
	"errors"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
)

// Delete removes the session's sandbox by force and ends the session. It is legal in
// every state and wins over everything in flight. It returns when the sandbox is gone; a
// session that has ended is success. When ctx ends, or the provider can't be asked, the
// intent is on disk and is carried out by the engine.
//
// Errors: CodeNotFound, CodeUnavailable, CodeSandboxStopFailed.
func (e *Engine) Delete(ctx context.Context, id string) error {
	const op = "delete"
	s, err := e.lookup(op, id)
	if err != nil {
		return err
	}
	switch err := e.amendAnyway(s, intend(lease.Deleted)); {
	case errors.Is(err, errAsItIs):
		return nil // it has ended
	case err != nil:
		return e.fail(op, s, CodeUnavailable, "", err)
	}
	if err := crash.Point("host.delete.intended"); err != nil {
		return e.fail(op, s, CodeUnavailable, s.unfinished("deleted"), err)
	}
	s.interruptCreate(errDeleted)
	s.interruptNow(errDeleted)
	if err := e.settleFor(ctx, s); err != nil {
		return e.fail(op, s, codeFor(err, CodeSandboxStopFailed), s.unfinished("deleted"), err)
	}
	if err := crash.Point("host.delete.acknowledging"); err != nil {
		return e.fail(op, s, CodeUnavailable, "", err)
	}
	return nil
}
