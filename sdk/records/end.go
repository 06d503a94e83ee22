package records

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-dev/berth/sdk/provider"
)

// Stop ends what runs in a sandbox, and keeps its entry.
func (p *Provider) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	const op = "stop"
	e, unlock, err := p.fenced(ctx, op, req.ID, req.Fence)
	if err != nil {
		return provider.Stopped{}, err
	}
	defer unlock()
	if e == nil {
		return provider.Stopped{Outcome: provider.OutcomeNotFound}, nil
	}
	if err := p.runtime.End(ctx, e.dir, max(req.Grace, 0)); err != nil {
		return provider.Stopped{}, err
	}
	seen, err := p.runtime.Observe(ctx, e.dir)
	if err == nil && seen.State == provider.StateRunning {
		err = &provider.Error{Class: provider.Internal, Op: op, ID: req.ID, Message: "it still runs after it was ended"}
	}
	if err != nil {
		return provider.Stopped{}, err
	}
	return provider.Stopped{Outcome: provider.OutcomeStopped, Exit: seen.Exit}, nil
}

// Delete ends what runs in a sandbox, by force, and removes its entry.
func (p *Provider) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	e, unlock, err := p.fenced(ctx, "delete", req.ID, req.Fence)
	if err != nil {
		return provider.Deleted{}, err
	}
	defer unlock()
	if e == nil {
		return provider.Deleted{Outcome: provider.OutcomeNotFound}, nil
	}
	if err := p.remove(ctx, e); err != nil {
		return provider.Deleted{}, err
	}
	return provider.Deleted{Outcome: provider.OutcomeDeleted}, nil
}

// fenced finds a sandbox, checks that it is the one that the caller means, and holds its
// name. The entry is nil when there is none.
func (p *Provider) fenced(ctx context.Context, op, id string, fence provider.Fence) (e *entry, unlock func(), err error) {
	unlock, err = p.turn(ctx, op, nameOf(id))
	if err != nil {
		return nil, nil, err
	}
	e, err = p.byID(id)
	switch {
	case err != nil:
		err = unavailable(op, id, err)
	case e == nil:
		return nil, unlock, nil
	default:
		err = e.check(op, fence)
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return e, unlock, nil
}

// check refuses a fence that does not fit.
func (e *entry) check(op string, fence provider.Fence) error {
	refuse := func(format string, args ...any) error {
		return &provider.Error{Class: provider.Conflict, Op: op, ID: e.ID, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.Owner != "" && e.Owner != fence.Owner:
		return refuse("it belongs to owner %s, not to %s", e.Owner, fence.Owner)
	case e.SessionID != "" && e.SessionID != fence.SessionID:
		return refuse("it is of session %s, not of %s", e.SessionID, fence.SessionID)
	case e.Owner == "" && !fence.Adopted:
		return refuse("it bears no owner and was not adopted")
	}
	return nil
}

// remove ends what runs, and takes the entry out of its place by one rename before its
// files go.
func (p *Provider) remove(ctx context.Context, e *entry) error {
	if err := p.runtime.End(ctx, e.dir, 0); err != nil {
		return err
	}
	aside := filepath.Join(p.dir, oldPrefix+e.ID)
	err := os.Rename(e.dir, aside)
	if err == nil {
		err = syncDir(p.dir)
	}
	if err == nil {
		err = os.RemoveAll(aside)
	}
	if err != nil {
		return &provider.Error{Class: provider.Internal, Op: "delete", ID: e.ID, Message: "its entry can't be removed", Err: err}
	}
	return nil
}
