package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// Logs yields what a session's sandbox printed, stdout and stderr in the order of their
// writing as far as the provider can tell. With Follow it goes on until the sandbox has
// ended. It returns yield's error when there is one.
//
// Errors: CodeInvalidArgument, CodeNotFound (no such session, or its sandbox is not there
// yet or not there any more), CodeUnavailable, CodeUnsupported (the provider has no logs).
func (e *Engine) Logs(ctx context.Context, id string, req api.LogsRequest, yield func(api.LogChunk) error) error {
	const op = "logs"
	s, err := e.lookup(op, id)
	if err != nil {
		return err
	}
	if req.Tail < 0 {
		return invalid(op, "tail", fmt.Sprintf("%d is negative; give the number of last lines, or 0 for all", req.Tail))
	}
	rec := s.record()
	switch {
	case rec.State == lease.Ended:
		return e.fail(op, s, CodeNotFound, fmt.Sprintf("session %s has ended (%s) and its sandbox is gone", s.id, rec.Ended.Reason), nil)
	case rec.SandboxID == "":
		return e.fail(op, s, CodeNotFound, fmt.Sprintf("session %s is %s and has no sandbox yet", s.id, rec.State), nil)
	}
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, ""); err != nil {
		return e.fail(op, s, CodeUnavailable, "", err)
	}
	reader, ok := b.Backend.(provider.LogReader)
	if !ok {
		return e.fail(op, s, CodeUnsupported, fmt.Sprintf("provider %q has no logs", rec.Provider), nil)
	}
	var left error // the reader's own reason to stop
	err = reader.Logs(ctx, provider.LogsRequest{ID: rec.SandboxID, Tail: req.Tail, Follow: req.Follow}, func(c provider.LogChunk) error {
		left = yield(c)
		return left
	})
	switch class := provider.ClassOf(err); {
	case left != nil:
		return left
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case class == provider.NotFound:
		return e.fail(op, s, CodeNotFound, "", err)
	case class == provider.Unsupported, errors.Is(err, errors.ErrUnsupported):
		return e.fail(op, s, CodeUnsupported, fmt.Sprintf("provider %q has no logs", rec.Provider), err)
	default:
		return e.fail(op, s, codeFor(err, CodeInternal), "", err)
	}
}
