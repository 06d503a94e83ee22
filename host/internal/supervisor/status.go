package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// Report is what is known of a provider, for people.
type Report struct {
	Name       string
	State      lifecycle.BackendState
	Since      time.Time // of the state
	Reason     string    // why it is not READY; "" when it is
	Generation int
	Restarts   int
	PID        int // 0 when there is no process

	Info         provider.Info // as last told, as is all below
	Schemas      provider.Schemas
	Health       provider.Health
	Capabilities []provider.Capability
	Identity     string
	Changed      bool
}

// Report tells what is known now. It never blocks.
func (s *Supervisor) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	var r Report
	if s.shown != nil {
		r = s.shown.report
	}
	r.Restarts = s.restarts
	r.Name, r.State, r.Since, r.Generation = s.opts.Name, st.State, st.Since, st.Generation
	r.Identity, r.Changed = st.Identity, st.Changed
	if st.Err != nil {
		r.Reason = st.Err.Error()
	}
	return r
}

// Status is what is known now. It never blocks.
func (s *Supervisor) Status() lifecycle.BackendStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// WaitReady returns when the provider is READY, or with Unavailable and its last error
// when ctx is done, or when it was stopped.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	for {
		s.mu.Lock()
		st, changed := s.status, s.changed
		ready := st.State == lifecycle.Ready && s.gen != nil && s.gen.dead() == nil && !s.stopping
		over := s.stopping
		s.mu.Unlock()
		if ready {
			return nil
		}
		if over {
			return s.unavailable("wait", "", s.stoppingError())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s.unavailable("wait", "", reasonOf(st))
		}
	}
}

func (s *Supervisor) stoppingError() error {
	return fmt.Errorf("provider %q is stopping", s.opts.Name)
}

// reasonOf is why a provider is not READY.
func reasonOf(st lifecycle.BackendStatus) error {
	if st.Err != nil {
		return st.Err
	}
	return fmt.Errorf("its plugin is %s", st.State)
}

func (s *Supervisor) unavailable(op, id string, cause error) error {
	return &provider.Error{Class: provider.Unavailable, Op: op, ID: id,
		Message: fmt.Sprintf("provider %q is not available", s.opts.Name), Err: cause}
}

// change changes the status, wakes who waits for it, and tells the engine. Only Run's
// goroutine calls it, so that the engine hears of the changes in their order. f is called
// with the lock held.
func (s *Supervisor) change(f func(*lifecycle.BackendStatus)) {
	s.mu.Lock()
	old := s.status
	now := old
	f(&now)
	if now.State != old.State {
		now.Since = time.Now()
		if old.State == lifecycle.Ready {
			now.ReadyUntil = now.Since
		}
	}
	if now.State == lifecycle.Ready {
		now.Err, now.Changed, now.ReadyUntil = nil, false, time.Time{}
	}
	same := now.State == old.State && text(now.Err) == text(old.Err) && now.Identity == old.Identity &&
		now.Changed == old.Changed && now.Generation == old.Generation
	s.status = now
	if !same {
		s.wake()
	}
	s.mu.Unlock()
	if same {
		return
	}
	if now.State != old.State {
		s.log.Info("provider "+string(now.State), "state", now.State, "generation", now.Generation, "reason", text(now.Err))
	}
	if now.Changed && !old.Changed {
		s.observer.OtherBackend(s.opts.Name)
	}
	s.engine.BackendChanged(s.opts.Name, now)
}

// set enters a state. A nil err keeps the last one.
func (s *Supervisor) set(state lifecycle.BackendState, err error) {
	s.change(func(st *lifecycle.BackendStatus) {
		st.State = state
		if err != nil {
			st.Err = err
		}
	})
}

// reconciling shows that a generation which has just started is being reconciled. For one
// that is still to take over nothing is shown.
func (s *Supervisor) reconciling(g *generation) {
	s.mu.Lock()
	now := s.shown == g && s.status.State == lifecycle.Starting
	s.mu.Unlock()
	if now {
		s.set(lifecycle.Reconciling, nil)
	}
}

// wake wakes who waits for a change. The lock is held.
func (s *Supervisor) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// stopped is the end of Run.
func (s *Supervisor) stopped() {
	s.refuseCalls()
	s.change(func(st *lifecycle.BackendStatus) {
		st.State, st.Err, st.Changed = lifecycle.Stopped, fmt.Errorf("provider %q was stopped", s.opts.Name), false
	})
}

// refuseCalls lets no further call in.
func (s *Supervisor) refuseCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	s.wake()
}

// publish makes g the generation that calls go to; nil for none.
func (s *Supervisor) publish(g *generation) {
	s.mu.Lock()
	was := s.gen != nil
	s.gen = g
	s.wake()
	s.mu.Unlock()
	if up := g != nil; up != was {
		s.observer.PluginUp(s.opts.Name, up)
	}
}

// withdraw takes g out of use, unless another is in its place.
func (s *Supervisor) withdraw(g *generation) {
	s.mu.Lock()
	current := s.gen == g
	s.mu.Unlock()
	if current {
		s.publish(nil)
	}
}

// show makes g, which was launched for a change of how, the generation that Status and
// Report are about; false when there was another change since.
func (s *Supervisor) show(g *generation, of int) bool {
	s.mu.Lock()
	g.of = of
	current := s.changes == of
	if current {
		s.shown = g
	}
	s.mu.Unlock()
	if current {
		s.change(func(st *lifecycle.BackendStatus) { st.Generation = int(g.num.Load()) })
	}
	return current
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
