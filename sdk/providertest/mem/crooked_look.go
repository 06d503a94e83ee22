package mem

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
)

func (c *crookedProvider) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	c.die()
	if c.breach == Panics {
		panic("index out of range [3] with length 3")
	}
	s, err := c.Provider.Get(ctx, c.whole(ref))
	c.deaf(ctx)
	missing := errors.Is(err, provider.NotFound)
	switch {
	case c.breach == MissingIsEmpty && missing:
		return provider.Sandbox{}, nil
	case c.breach == DeletedStays && missing:
		if x := c.ghost(ref); x != nil {
			return x.inspected(), nil
		}
	case c.breach == NamesUnknown && ref.ID == "",
		c.breach == CanceledIsAbsent && ctx.Err() != nil,
		c.breach == AwayIsAbsent && errors.Is(err, provider.Unavailable),
		c.breach == Forgets && err == nil && !c.mine(s.ID):
		return provider.Sandbox{}, fail(provider.NotFound, Get, ref.ID+ref.Name, "there is no such sandbox")
	case c.breach == StopForgetsExit:
		s.Exit = nil
	case c.breach == StopKeepsEndpoint && s.State == provider.StateExited:
		s.Endpoint = &provider.Endpoint{IP: c.b.ip, Port: 8000}
	}
	return s, err
}

// whole completes the beginning of an id, with the breach PartsAreIDs.
func (c *crookedProvider) whole(ref provider.Ref) provider.Ref {
	if c.breach == PartsAreIDs && ref.ID != "" {
		ref.ID = c.wholeID(ref.ID)
	}
	return ref
}

func (c *crookedProvider) wholeID(part string) string {
	if c.breach != PartsAreIDs {
		return part
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for _, x := range c.b.boxes {
		if strings.HasPrefix(x.Sandbox.ID, part) {
			return x.Sandbox.ID
		}
	}
	return part
}

// bury keeps a sandbox that is about to be deleted, for breaches that go on to show it.
func (c *crookedProvider) bury(id string) {
	if c.breach != DeletedStays && c.breach != ListsLate {
		return
	}
	c.b.change(func() error {
		if x := c.b.byID(id); x != nil {
			dead := *x
			dead.Sandbox.State, dead.timer = provider.StateExited, nil
			c.b.ghosts = append(c.b.ghosts, &dead)
		}
		return nil
	})
}

func (c *crookedProvider) ghost(ref provider.Ref) *box {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for _, x := range c.b.ghosts {
		if x.Sandbox.ID == ref.ID || x.Sandbox.Name == ref.Name {
			return x
		}
	}
	return nil
}

func (c *crookedProvider) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	if c.breach == LeaksGoroutines {
		go c.stuck()
	}
	var all []provider.Sandbox
	inner := context.WithoutCancel(ctx)
	summary, err := c.Provider.List(inner, func(s provider.Sandbox) error { all = append(all, s); return nil })
	c.deaf(ctx)
	if c.breach == AwayIsEmpty && errors.Is(err, provider.Unavailable) {
		return provider.ListSummary{}, nil
	}
	if err != nil {
		return summary, err
	}
	all = c.shown(all)
	for _, s := range all {
		if err := canceled(ctx, List, ""); err != nil {
			if c.breach == CutIsComplete {
				return provider.ListSummary{Total: len(all)}, nil
			}
			return provider.ListSummary{}, err
		}
		if err := yield(s); err != nil && c.breach != ReaderIgnored {
			return provider.ListSummary{}, err
		}
	}
	return summary, nil
}

// shown is what a list shows of what there is.
func (c *crookedProvider) shown(all []provider.Sandbox) []provider.Sandbox {
	switch c.breach {
	case ListsShort:
		return all[:max(0, len(all)-1)]
	case ListsTwice:
		return append(all, all[:min(1, len(all))]...)
	case ListsRunning:
		return slices.DeleteFunc(all, func(s provider.Sandbox) bool { return s.State != provider.StateRunning })
	case ListsBare:
		for i := range all {
			all[i].AgentID = ""
		}
	case ListsInvented:
		for _, s := range all[:min(1, len(all))] {
			s.ID, s.Name, s.SessionID = "invented", "invented", "invented"
			all = append(all, s)
		}
	case ListsLate:
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		if n := len(c.b.ghosts); n > 0 {
			all = append(all, c.b.ghosts[n-1].listed())
		}
	case Forgets:
		return slices.DeleteFunc(all, func(s provider.Sandbox) bool { return !c.mine(s.ID) })
	}
	return all
}
