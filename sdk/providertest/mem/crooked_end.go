package mem

import (
	"context"
	"errors"

	"github.com/berth-dev/berth/sdk/provider"
)

func (c *crookedProvider) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	c.deaf(ctx)
	req.ID = c.wholeID(req.ID)
	s, known := c.sandbox(req.ID)
	req.Fence = c.fence(req.Fence, s)
	switch {
	case !known:
		if err := c.absent(Stop, req.ID); err != nil {
			return provider.Stopped{}, err
		}
	case c.breach == StopDoesNothing && c.fits(req.Fence, s),
		c.breach == StopNeverForces && c.fits(req.Fence, s) && c.stubborn(req.ID):
		return provider.Stopped{Outcome: provider.OutcomeStopped}, nil
	case c.breach == StopOnce && s.State == provider.StateExited:
		return provider.Stopped{}, fail(provider.Internal, Stop, req.ID, "it does not run")
	case c.breach == StopIsRude:
		req.Grace = 0
	}
	answer, err := c.Provider.Stop(ctx, req)
	switch {
	case c.breach == StopRemoves && err == nil:
		c.b.Vanish(req.ID)
	case c.breach == AwayIsAbsent && errors.Is(err, provider.Unavailable):
		return provider.Stopped{Outcome: provider.OutcomeNotFound}, nil
	}
	return answer, err
}

func (c *crookedProvider) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	c.deaf(ctx)
	req.ID = c.wholeID(req.ID)
	s, known := c.sandbox(req.ID)
	req.Fence = c.fence(req.Fence, s)
	if !known {
		if err := c.absent(Delete, req.ID); err != nil {
			return provider.Deleted{}, err
		}
	}
	switch {
	case c.breach == DeleteWantsStopped && s.State == provider.StateRunning && c.fits(req.Fence, s):
		return provider.Deleted{}, fail(provider.Conflict, Delete, req.ID, "it runs: stop it first")
	case c.breach == DeleteDoesNothing && c.fits(req.Fence, s):
		return provider.Deleted{Outcome: provider.OutcomeDeleted}, nil
	case c.breach == DeletesCollide:
		leave, err := c.alone(req.ID)
		if err != nil {
			return provider.Deleted{}, err
		}
		defer leave()
	case c.breach == RemovedInHalves && c.fits(req.Fence, s):
		c.b.edit(req.ID, func(x *box) bool {
			x.Sandbox.SessionID, x.Sandbox.Unreadable = "", "session_id: is missing"
			return true
		})
		pause(raceWindow) // a kill is meant to come now
	}
	c.bury(req.ID)
	answer, err := c.Provider.Delete(ctx, req)
	switch {
	case c.breach == DeleteAlwaysDeleted && err == nil:
		answer.Outcome = provider.OutcomeDeleted
	case c.breach == AwayIsAbsent && errors.Is(err, provider.Unavailable):
		return provider.Deleted{Outcome: provider.OutcomeNotFound}, nil
	}
	return answer, err
}

// sandbox is what there is of an id.
func (c *crookedProvider) sandbox(id string) (s provider.Sandbox, known bool) {
	c.b.change(func() error {
		if x := c.b.byID(id); x != nil {
			s, known = x.Sandbox, true
		}
		return nil
	})
	return s, known
}

func (c *crookedProvider) stubborn(id string) bool {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	x := c.b.byID(id)
	return x != nil && x.Stubborn
}

// absent is the error of a verb for a sandbox that is not there.
func (c *crookedProvider) absent(op Verb, id string) error {
	if c.breach != MissingIsError {
		return nil
	}
	return fail(provider.NotFound, op, id, "there is no such sandbox")
}

// fence is the fence that would fit, where a breach takes one away.
func (c *crookedProvider) fence(f provider.Fence, s provider.Sandbox) provider.Fence {
	switch {
	case c.breach == FenceWithoutOwner && s.Owner != "",
		c.breach == AdoptedOpensAll && f.Adopted:
		f.Owner = s.Owner
	case c.breach == FenceWithoutSession:
		f.SessionID = s.SessionID
	case c.breach == UnownedOpen && s.Owner == "":
		f.Adopted = true
	}
	return f
}

// fits reports whether a fence lets a call through.
func (c *crookedProvider) fits(f provider.Fence, s provider.Sandbox) bool {
	return s.ID != "" && s.Owner == f.Owner && s.SessionID == f.SessionID
}

// alone refuses a second Delete of the same sandbox while the first is under way.
func (c *crookedProvider) alone(id string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[id] {
		return nil, fail(provider.Conflict, Delete, id, "its removal is already in progress")
	}
	c.busy[id] = true
	return func() {
		pause(raceWindow) // the others come meanwhile
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.busy, id)
	}, nil
}
