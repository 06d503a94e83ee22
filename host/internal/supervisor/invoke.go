package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// enter lets a call begin on the generation that it may go to, or says why there is none.
// leave must be called when it is done.
func (s *Supervisor) enter(op, id string) (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.pass(op, id)
	if err == nil {
		g.flight++
	}
	return g, err
}

// leave ends what enter began.
func (g *generation) leave() {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.flight--
	if g.flight == 0 && g.idle != nil {
		close(g.idle)
	}
}

// pass returns the generation that a call may go to. The lock is held.
func (s *Supervisor) pass(op, id string) (*generation, error) {
	g, st := s.gen, s.status
	switch {
	case s.stopping:
		return nil, s.unavailable(op, id, s.stoppingError())
	case g == nil:
		return nil, s.unavailable(op, id, reasonOf(st))
	case g.dead() != nil:
		return nil, s.unavailable(op, id, g.dead())
	case op == "health" || op == "identity":
		return g, nil
	case st.Changed, g.identity == "", op == "create" && st.State != lifecycle.Ready:
		return nil, s.unavailable(op, id, reasonOf(st))
	}
	return g, nil
}

// once and twice say whether a call may be made a second time.
func once() bool  { return false }
func twice() bool { return true }

// call makes a call on the current generation. When the generation died under it, or was
// replaced and took it no more, and again agrees, it is made once more on the next one,
// within the caller's deadline.
func call[T any](ctx context.Context, s *Supervisor, op, id string, again func() bool, f func(context.Context, provider.Provider) (T, error)) (T, error) {
	return callOn(ctx, s, op, id, again, func(ctx context.Context, g *generation) (T, error) { return f(ctx, g.prov) })
}

// callOn is call for what wants to know its generation.
func callOn[T any](ctx context.Context, s *Supervisor, op, id string, again func() bool, f func(context.Context, *generation) (T, error)) (T, error) {
	g, err := s.enter(op, id)
	if err != nil {
		var none T
		return none, err
	}
	on := func(g *generation) (T, error) {
		defer g.leave()
		return invoke(ctx, g, op, id, func(ctx context.Context, _ provider.Provider) (T, error) { return f(ctx, g) })
	}
	v, err := on(g)
	if err == nil || !g.gave(err) || ctx.Err() != nil || !again() {
		return v, err
	}
	next := s.after(ctx, g, op, id)
	if next == nil {
		return v, err
	}
	return on(next)
}

// gave reports whether a call may have failed because the generation is over.
func (g *generation) gave(err error) bool {
	if g.dead() != nil {
		return true
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return g.s.gen != g && provider.ClassOf(err) == provider.Unavailable
}

// after waits for a generation after g that takes the call; nil when none comes in time.
// leave must be called on it when the call is done.
func (s *Supervisor) after(ctx context.Context, g *generation, op, id string) *generation {
	ctx, cancel := context.WithTimeout(ctx, nextGeneration)
	defer cancel()
	for {
		s.mu.Lock()
		changed, st, over := s.changed, s.status, s.stopping
		s.mu.Unlock()
		next, err := s.enter(op, id)
		switch {
		case err == nil && next != g:
			return next
		case err == nil:
			next.leave()
		case over, st.State == lifecycle.Misconfigured, st.Changed:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// invoke makes one call on one generation. It returns at once when the generation ends.
func invoke[T any](caller context.Context, g *generation, op, id string, f func(context.Context, provider.Provider) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(caller)
	defer cancel()
	defer context.AfterFunc(g.alive, cancel)()
	begun := time.Now()
	v, err := f(ctx, g.prov)
	if err != nil {
		err = g.blame(caller, op, id, err)
	}
	g.s.called(op, err, time.Since(begun))
	return v, err
}

// called tells the observer of a call.
func (s *Supervisor) called(op string, err error, took time.Duration) {
	s.observer.RPC(s.opts.Name, op, codeOf(err), took)
	if provider.IsBadAnswer(err) {
		s.observer.BadAnswer(s.opts.Name, op)
		s.log.Warn("an answer of the plugin is not believed", "method", op, "err", err)
	}
}

// blame finds out whether a call failed because the generation ended under it.
func (g *generation) blame(caller context.Context, op, id string, err error) error {
	if class := provider.ClassOf(err); class != provider.Unavailable && class != provider.Canceled {
		return err
	}
	if caller.Err() != nil {
		return err
	}
	g.settle(caller)
	if g.dead() == nil {
		return err
	}
	return &provider.Error{Class: provider.Unavailable, Op: op, ID: id,
		Message: fmt.Sprintf("provider %q: the plugin ended during the call", g.s.opts.Name), Err: g.dead()}
}

// settle waits a little for the news that the process has ended: its broken connection
// may be known before.
func (g *generation) settle(ctx context.Context) {
	if _, process := g.inst.(interface{ PID() int }); !process {
		return
	}
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-g.alive.Done():
	case <-ctx.Done():
	case <-t.C:
	}
}
