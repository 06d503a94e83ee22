package supervisor

import (
	"context"
	"errors"
	"sync"
)

// how a plugin is launched, and with which settings.
type how struct {
	launcher Launcher
	settings Settings
}

// Successor is what is to take the place of a running plugin: a generation with another
// launcher and other settings, that was launched, configured and reconciled beside it. It
// ends with Use or with Discard.
type Successor struct {
	s      *Supervisor
	how    how
	linked bool // it is the plugin that is there, with this config
	config []byte
	watch  *watchman // nil: there is no generation of its own
	found  verdict   // of its first look at the backend
	failed error     // why there is none, where there should be one

	once  sync.Once
	ended chan struct{} // closed when it has taken over or was discarded
	err   error         // of Use, then
}

// RefusedError says that a plugin refuses its configuration.
type RefusedError struct{ Err error }

// Error is what the plugin, or the check of the settings, said.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Successor makes one. The plugin that runs goes on as it is; calls still go to it.
// A plugin that is linked into this program has one life only: its successor is itself,
// and its config must be the same.
//
// Where a plugin can't be launched and none runs, the successor has no generation: Use
// then lets the next tries go by the new launcher and settings. A backend that is away, or
// another one, is no error: the successor takes over in that state.
//
// Errors: [RefusedError]; the plugin could not be launched or configured, while one runs;
// ctx is done.
func (s *Supervisor) Successor(ctx context.Context, launcher Launcher, settings Settings) (_ *Successor, err error) {
	c := &Successor{s: s, how: how{launcher, settings}, ended: make(chan struct{})}
	if v, ok := launcher.(value); ok {
		c.linked = true
		c.config, err = s.judge(ctx, v.plugin, settings)
		return c, err
	}
	binary := fingerprintOf(launcher)
	inst, err := launcher.Launch(ctx)
	if err != nil {
		return c.without(ctx, err)
	}
	life := context.WithoutCancel(ctx) // the end of ctx is not the supervisor's
	g := s.newGeneration(life, inst, settings, binary)
	defer context.AfterFunc(ctx, g.stopWork)()
	if err := g.start(); err != nil {
		end := g.failed(life, err)
		if end.refused {
			return nil, &RefusedError{end.err}
		}
		return c.without(ctx, end.err)
	}
	g.helpers.Go(g.streamEvents)
	c.watch = newWatchman(g)
	c.found = c.watch.examine()
	if ctx.Err() != nil {
		c.Discard()
		return nil, context.Cause(ctx)
	}
	return c, nil
}

// without is a successor that has no generation, where that is none the worse.
func (c *Successor) without(ctx context.Context, failed error) (*Successor, error) {
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case c.s.runs():
		return nil, failed
	}
	c.failed = failed
	return c, nil
}

// runs reports whether there is a plugin that calls go to.
func (s *Supervisor) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen != nil && s.gen.dead() == nil
}

// Err tells why a successor that waits should not be used any more: its plugin has ended,
// or it has none and the old one, which did not run, does now. nil: it stands.
func (c *Successor) Err() error {
	switch {
	case c.watch != nil:
		return c.watch.dead()
	case c.failed != nil && c.s.runs():
		return c.failed
	}
	return nil
}

// Use puts the successor in its place. Calls go to it from then on; those in flight on the
// one before may end within 15 seconds. It returns when that has begun, or ctx is done,
// which does not take it back. One whose plugin has ended meanwhile is launched anew.
//
// The error, unless it is ctx's, says that the supervisor has stopped or stops; nothing is
// left of the successor then.
func (c *Successor) Use(ctx context.Context) error {
	if !c.s.queue(c) {
		c.discard(c.s.unavailable("reload", "", c.s.stoppingError()))
		return c.err
	}
	if c.watch == nil {
		return nil
	}
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// queue makes a successor the next, and frees Run's goroutine for it from whatever it does
// with the generation that is there. It is false when Run has ended.
func (s *Supervisor) queue(c *Successor) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.using = c.how
	s.changes++
	before := s.next
	s.next = nil
	switch g := s.shown; {
	case c.watch != nil:
		s.next, c.watch.of = c, s.changes
		if g != nil {
			g.stopWork() // its polls hold nobody up; its calls go on
		}
	case c.linked:
		s.linked = c.config
		if g != nil && g == s.gen {
			g.of = s.changes
		}
	case g != nil:
		g.end(errOutdated)
	}
	s.mu.Unlock()
	if before != nil {
		before.Discard()
	}
	select {
	case s.nudged <- struct{}{}:
	default:
	}
	return true
}

// Discard ends a successor that is not used, and returns when nothing of it is left. After
// it has taken over it does nothing.
func (c *Successor) Discard() { c.discard(nil) }

func (c *Successor) discard(err error) {
	c.once.Do(func() {
		defer close(c.ended)
		c.err = err
		if c.watch != nil {
			c.watch.end(errors.New("the configuration was not taken over"))
			c.watch.close(context.Background())
		}
	})
}

// how tells how the next plugin is launched, and which change of that it is.
func (s *Supervisor) how() (how, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.using, s.changes
}

// usedAnew counts the changes of how.
func (s *Supervisor) usedAnew() int {
	_, changes := s.how()
	return changes
}

func (s *Supervisor) hasNext() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next != nil
}

// takeNext puts the successor that waits in its place; nil when there is none. Only Run's
// goroutine calls it.
func (s *Supervisor) takeNext(ctx context.Context) *watchman {
	s.mu.Lock()
	c := s.next
	s.next = nil
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	g := c.watch.generation
	if err := g.dead(); err != nil {
		c.found = verdict{err: err}
	}
	forget := context.AfterFunc(ctx, g.stopWork)
	context.AfterFunc(g.alive, func() { forget() })
	c.watch.takeOver(c.found)
	c.once.Do(func() { close(c.ended) })
	s.log.Info("another plugin process has taken over", "generation", g.num.Load())
	return c.watch
}

// dropNext ends a successor that came too late, and lets none come after it.
func (s *Supervisor) dropNext() {
	s.mu.Lock()
	c := s.next
	s.next, s.over = nil, true
	s.mu.Unlock()
	if c != nil {
		c.discard(s.unavailable("reload", "", s.stoppingError()))
	}
}
