package lifecycle

import (
	"cmp"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// badAnswer is the error for an answer that can't be true. It is not believed, and nothing is
// concluded from it.
func badAnswer(op, id, format string, args ...any) error {
	return &provider.Error{Class: provider.Internal, Op: op, ID: id, Code: provider.CodeBadAnswer,
		Message: "the provider's answer is refused: " + fmt.Sprintf(format, args...)}
}

// refuse is badAnswer, counted and logged for the provider that gave it.
func (e *Engine) refuse(providerName, op, id, format string, args ...any) error {
	err := badAnswer(op, id, format, args...)
	e.observer.BadAnswer(providerName, op)
	e.log.Warn("an answer of the plugin is not believed", "provider", providerName, "method", op, "err", err)
	return err
}

// refusedSandbox is the error for an answer about a sandbox that was not asked for, or that
// bears no id.
func (e *Engine) refusedSandbox(rec lease.Record, sb provider.Sandbox) error {
	return e.refuse(rec.Provider, "get", rec.SessionID, "it is about sandbox %q, and %q was asked for",
		sb.ID, cmp.Or(rec.SandboxID, rec.SandboxName))
}

func (e *Engine) refusedOutcome(providerName, op, id string, outcome provider.Outcome) error {
	return e.refuse(providerName, op, id, "outcome %q is unknown", outcome)
}

// madeFor reports whether a sandbox is that of the create that a lease is about: there may be
// one of the same name that another owner, or another request with the same session id, has made.
func (e *Engine) madeFor(rec lease.Record, sb provider.Sandbox) bool {
	return sb.Owner == e.owner && sb.SessionID == rec.SessionID && sb.RequestHash == rec.RequestHash
}

// estranged tells in which label a sandbox is not the one of a session, whose id it has; ""
// when it is. Labels never change.
func (e *Engine) estranged(rec lease.Record, sb provider.Sandbox) string {
	owner := e.owner
	if rec.Adopted {
		owner = rec.SandboxOwner
	}
	switch {
	case sb.Unreadable != "":
		return ""
	case sb.Owner != owner:
		return fmt.Sprintf("sandbox %q is said to be owner %q's, and was %q's", sb.ID, sb.Owner, owner)
	case sb.SessionID != rec.SessionID:
		return fmt.Sprintf("sandbox %q is said to be that of session %q, and was that of %q", sb.ID, sb.SessionID, rec.SessionID)
	case !rec.FirstExpiresAt.IsZero() && !sb.ExpiresAt.Equal(rec.FirstExpiresAt):
		return fmt.Sprintf("sandbox %q is said to bear the deadline %s, and bears %s", sb.ID,
			sb.ExpiresAt.Format(time.RFC3339Nano), rec.FirstExpiresAt.Format(time.RFC3339Nano))
	}
	return ""
}
