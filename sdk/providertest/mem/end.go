package mem

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// Stop ends a sandbox at once, unless it is stubborn: then when the grace is over.
func (p *Provider) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	if err := p.b.polite(ctx, req); err != nil {
		return provider.Stopped{}, err
	}
	var answer provider.Stopped
	err := p.verb(ctx, Stop, req.ID, func(f Fault) error {
		x, err := p.b.fenced(Stop, req.ID, req.Fence)
		if err != nil {
			return err
		}
		if x == nil {
			answer = provider.Stopped{Outcome: f.outcome(provider.OutcomeNotFound)}
			return nil
		}
		if x.Sandbox.State != provider.StateExited {
			p.b.exit(x, x.signaled(), false)
		}
		exit := x.Exit
		answer = provider.Stopped{Outcome: f.outcome(provider.OutcomeStopped), Exit: &exit}
		return nil
	})
	if err != nil {
		return provider.Stopped{}, err
	}
	return answer, nil
}

// polite waits for as long as a stubborn sandbox has grace.
func (b *Backend) polite(ctx context.Context, req provider.StopRequest) error {
	stubborn := false
	err := b.transact(func() error {
		x, err := b.fenced(Stop, req.ID, req.Fence)
		stubborn = err == nil && x != nil && x.Stubborn && x.Sandbox.State == provider.StateRunning
		return nil // the stop itself says what is wrong
	})
	if err != nil || !stubborn {
		return err
	}
	return Fault{Delay: req.Grace}.play(ctx, Stop, req.ID)
}

// signaled is the exit code of a sandbox that was stopped: 128 and the signal's number.
func (x *box) signaled() int {
	if x.Stubborn {
		return 137
	}
	return 143
}

// Delete removes a sandbox from any state.
func (p *Provider) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	var answer provider.Deleted
	err := p.verb(ctx, Delete, req.ID, func(f Fault) error {
		x, err := p.b.fenced(Delete, req.ID, req.Fence)
		if err != nil {
			return err
		}
		if x == nil {
			answer = provider.Deleted{Outcome: f.outcome(provider.OutcomeNotFound)}
			return nil
		}
		p.b.remove(req.ID)
		p.b.emit(x, provider.EventRemoved)
		answer = provider.Deleted{Outcome: f.outcome(provider.OutcomeDeleted)}
		return nil
	})
	if err != nil {
		return provider.Deleted{}, err
	}
	return answer, nil
}

// fenced finds the sandbox of id, nil for none, and refuses when it is not the one that
// the fence means. The caller holds mu.
func (b *Backend) fenced(op Verb, id string, fence provider.Fence) (*box, error) {
	if id == "" {
		return nil, fail(provider.InvalidArgument, op, "", "the sandbox id is empty")
	}
	x := b.byID(id)
	if x == nil {
		return nil, nil
	}
	s := x.Sandbox
	switch {
	case s.Owner == "" && !fence.Adopted:
		return nil, fail(provider.Conflict, op, id, "it bears no owner, and the call does not say that it was adopted")
	case s.Owner != "" && s.Owner != fence.Owner:
		return nil, fail(provider.Conflict, op, id, "its owner is %q, the call means %q", s.Owner, fence.Owner)
	case s.SessionID != "" && s.SessionID != fence.SessionID:
		return nil, fail(provider.Conflict, op, id, "its session is %q, the call means %q", s.SessionID, fence.SessionID)
	}
	return x, nil
}
