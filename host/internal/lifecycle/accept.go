package lifecycle

import (
	"context"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

var errLost error = &provider.Error{Class: provider.Canceled, Message: "its backend is gone for good, so the operator says"}

// AcceptBackend is told that the operator has accepted a backend in the place of the one
// that holds the provider's sessions: those of another backend end as lost. Nothing is
// asked of any backend for it. See [Supervised].
func (e *Engine) AcceptBackend(ctx context.Context, providerName, identity string) error {
	b := e.backend(providerName)
	if b == nil {
		return &Error{Code: CodeInternal, Op: "accept", Message: "provider " + providerName + " is not attached"}
	}
	for _, s := range e.of(b) {
		if rec := s.record(); rec.Identity == "" || rec.Identity == identity {
			continue
		}
		if err := e.lose(ctx, s, identity); err != nil {
			return err
		}
	}
	return nil
}

// lose ends a session whose backend is gone.
func (e *Engine) lose(ctx context.Context, s *session, accepted string) error {
	s.interruptCreate(errLost)
	s.interruptNow(errLost)
	if err := take(ctx, s.token); err != nil {
		return err
	}
	defer release(s.token)
	rec := s.record()
	if rec.State == lease.Ended || rec.Identity == "" || rec.Identity == accepted {
		return nil
	}
	err := e.amendAnyway(s, func(r *lease.Record) error {
		r.State, r.Reason = lease.Deleting, lease.Lost
		r.Cause = "its backend was " + rec.Identity + ", and " + accepted + " was accepted in its place"
		return nil
	})
	if err != nil {
		return err
	}
	e.log.Warn("a session is lost with its backend", "session_id", s.id, "chat_id", rec.ChatID, "sandbox_id", rec.SandboxID, "backend", rec.Identity)
	e.end(s, nil)
	return nil
}
