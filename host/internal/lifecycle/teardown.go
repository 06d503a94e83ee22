package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	deleteTimeout = time.Minute
	stopMargin    = 30 * time.Second // what a stop may take beyond the grace
)

// teardown is the one way in which a sandbox goes and its session ends, for the reason
// in the record, whose state is Deleting. The token is held. When it fails the intent
// stays, and it is tried again.
func (e *Engine) teardown(ctx context.Context, s *session) error {
	rec := s.record()
	if rec.SandboxID == "" && rec.Identity == "" {
		e.end(s, nil) // no create was ever sent
		return nil
	}
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "delete"); err != nil {
		return err
	}
	id, err := e.sandboxID(ctx, b, rec)
	if err != nil {
		return err
	}
	if id != "" {
		if err := e.remove(ctx, b, rec, id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	exit := s.exit
	s.mu.Unlock()
	e.end(s, exit)
	return nil
}

// reachable is an error while the session's provider can't be asked to change anything.
func (e *Engine) reachable(b *backend, rec lease.Record, op string) error {
	if b == nil {
		return &Error{Code: CodeUnavailable, Op: op, Message: fmt.Sprintf("provider %q is not configured", rec.Provider), Err: provider.Unavailable}
	}
	if !b.Status().reachable() {
		bad := b.notReady(op)
		bad.Err = &provider.Error{Class: provider.Unavailable, Err: bad.Err}
		return bad
	}
	return nil
}

// sandboxID finds the id of a sandbox whose create was not answered; "" when there is
// none, on the backend that the lease names.
func (e *Engine) sandboxID(ctx context.Context, b *backend, rec lease.Record) (string, error) {
	if rec.SandboxID != "" {
		return rec.SandboxID, nil
	}
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	sb, err := b.Get(ctx, provider.Ref{Name: rec.SandboxName})
	switch {
	case isNotFound(err):
		return "", e.absent(ctx, b, rec, provider.Ref{Name: rec.SandboxName})
	case err != nil:
		return "", err
	case !e.madeFor(rec, sb):
		return "", nil // the name is somebody else's, or another request's: then there was a conflict
	case sb.ID == "":
		return "", e.refusedSandbox(rec, sb)
	}
	return sb.ID, nil
}

// remove deletes a sandbox. "It is not there" is believed only from the lease's backend.
func (e *Engine) remove(ctx context.Context, b *backend, rec lease.Record, id string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	ctx, op := e.observer.Operation(ctx, b.name, "delete", OperationIDs{SessionID: rec.SessionID, ChatID: rec.ChatID, SandboxID: id})
	var answer provider.Deleted
	defer func() { op.Done(string(answer.Outcome), err) }()
	if err := crash.Point("host.delete.sending"); err != nil {
		return err
	}
	called := op.Call()
	answer, err = b.Delete(ctx, provider.DeleteRequest{ID: id, Fence: e.fence(rec)})
	called()
	if err == nil {
		err = crash.Point("host.delete.answered")
	}
	if err != nil {
		return err
	}
	switch answer.Outcome {
	case provider.OutcomeDeleted:
		return nil
	case provider.OutcomeNotFound:
		return e.absent(ctx, b, rec, provider.Ref{ID: id})
	default:
		return e.refusedOutcome(b.name, "delete", id, answer.Outcome)
	}
}

// halt stops a sandbox and remembers how it ended. It reports whether it was there.
func (e *Engine) halt(ctx context.Context, s *session, b *backend, rec lease.Record) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.limits().StopGrace+stopMargin)
	defer cancel()
	ctx, op := e.observer.Operation(ctx, b.name, "stop", OperationIDs{SessionID: rec.SessionID, ChatID: rec.ChatID, SandboxID: rec.SandboxID})
	var answer provider.Stopped
	defer func() { op.Done(string(answer.Outcome), err) }()
	if err := crash.Point("host.stop.sending"); err != nil {
		return true, err
	}
	soft, end := s.interruptible(ctx)
	called := op.Call()
	answer, err = b.Stop(soft, provider.StopRequest{ID: rec.SandboxID, Fence: e.fence(rec), Grace: e.limits().StopGrace})
	called()
	end()
	if err == nil {
		err = crash.Point("host.stop.answered")
	}
	if err != nil {
		return true, err
	}
	switch answer.Outcome {
	case provider.OutcomeStopped:
		s.mu.Lock()
		s.exit = answer.Exit
		s.mu.Unlock()
		return true, nil
	case provider.OutcomeNotFound:
		return false, e.absent(ctx, b, rec, provider.Ref{ID: rec.SandboxID})
	default:
		return true, e.refusedOutcome(b.name, "stop", rec.SandboxID, answer.Outcome)
	}
}

// absent is nil when a sandbox is not there. Whoever calls it was told so once; but that may
// have been another backend, which has been replaced by the lease's own again since. So what
// counts is an answer between two others by which the backend is the lease's.
func (e *Engine) absent(ctx context.Context, b *backend, rec lease.Record, ref provider.Ref) error {
	if err := e.sameBackend(ctx, b, rec); err != nil {
		return err
	}
	get, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	switch sb, err := b.Get(get, ref); {
	case err == nil && ref.Name != "" && !e.madeFor(rec, sb):
		// The name is somebody else's.
	case err == nil:
		return &provider.Error{Class: provider.Unavailable, Op: "get", ID: rec.SessionID,
			Message: "the provider says that the sandbox is not there, and then that it is"}
	case !isNotFound(err):
		return err
	}
	return e.sameBackend(ctx, b, rec)
}

// sameBackend asks the backend who it is: absence counts only on the lease's own.
func (e *Engine) sameBackend(ctx context.Context, b *backend, rec lease.Record) error {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	id, err := b.Identity(ctx)
	if err != nil {
		return err
	}
	if rec.Identity != "" && id != rec.Identity {
		return &provider.Error{Class: provider.Unavailable, Op: "identity", ID: rec.SessionID,
			Message: fmt.Sprintf("backend changed: the session's sandbox is on %q, and this is %q", rec.Identity, id)}
	}
	return nil
}
