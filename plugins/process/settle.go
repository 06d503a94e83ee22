//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// settle decides what a taken name means. It returns the sandbox when it is the one that
// spec asks for, and nil when the name is free again.
func (p *Provider) settle(ctx context.Context, spec provider.Spec, remade *bool) (*provider.Sandbox, error) {
	patience, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		b, err := p.dir.byName(spec.Name)
		switch {
		case errors.Is(err, provider.NotFound):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if err := sameRequest(spec, b); err != nil {
			return nil, err
		}
		s := b.sandbox(false)
		if s.State == provider.StateRunning {
			return &s, nil
		}
		if b.held { // another create is at it
			if err := pause(patience, wait); err == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		if *remade {
			return nil, refusal(provider.Conflict,
				fmt.Sprintf("sandbox %s of this request does not run (%s), and was made anew once already", s.ID, s.State))
		}
		if err := crash.Point("process.conflict.removing"); err != nil {
			return nil, err
		}
		*remade = true
		p.log.InfoContext(ctx, "removing a sandbox that does not run, to make it anew",
			"session_id", spec.SessionID, "sandbox_id", s.ID, "state", string(s.State))
		if err := p.remove(ctx, b.dir, s.ID); err != nil && !errors.Is(err, provider.NotFound) {
			return nil, err
		}
		return nil, nil
	}
}

// sameRequest refuses a sandbox that another owner, session or request made.
func sameRequest(spec provider.Spec, b *box) error {
	var other string
	switch {
	case b.unreadable != nil:
		return refusal(provider.Conflict, fmt.Sprintf("the name %s is taken by a sandbox whose record can't be read: %v", spec.Name, b.unreadable))
	case b.rec.Owner != spec.Owner:
		other = "owner"
	case b.rec.SessionID != spec.SessionID:
		other = "session"
	case b.rec.RequestHash != spec.RequestHash:
		other = "request"
	default:
		return nil
	}
	return refusal(provider.Conflict, fmt.Sprintf("the name %s is taken by sandbox %s of another %s", spec.Name, b.rec.ID, other))
}

// checkFence refuses a sandbox that is not the one that the caller means.
func checkFence(r record, fence provider.Fence) error {
	switch {
	case r.Owner != "" && r.Owner != fence.Owner:
		return refusal(provider.Conflict, fmt.Sprintf("it belongs to owner %s, not to %s", r.Owner, fence.Owner))
	case r.SessionID != "" && r.SessionID != fence.SessionID:
		return refusal(provider.Conflict, fmt.Sprintf("it is of session %s, not of %s", r.SessionID, fence.SessionID))
	case r.Owner == "" && !fence.Adopted:
		return refusal(provider.Conflict, "it bears no owner and was not adopted")
	}
	return nil
}
