package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	listTimeout = time.Minute
	sweepAtMost = time.Second // between two sweeps that broken event streams ask for
)

// sweeper looks after one provider: it sweeps every sweep_interval and when an event
// stream broke, tells the watchers when sessions become unknown, and wakes what waits
// for the provider once it is back.
func (e *Engine) sweeper(ctx context.Context, b *backend) {
	interval := time.NewTicker(e.limits.SweepInterval)
	defer interval.Stop()
	unknown := time.NewTimer(max(0, unknownAfter-time.Since(b.started)))
	defer unknown.Stop()
	var last, since time.Time // of the last sweep; of the status that was seen last
	ready, shown := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-interval.C:
		case <-b.kick:
			select {
			case <-time.After(time.Until(last.Add(sweepAtMost))):
			case <-ctx.Done():
				return
			}
		case <-unknown.C:
			if !ready && !shown {
				shown = true
				e.showAgain(b)
			}
			continue
		case <-b.changed:
			st := b.Status()
			back := st.State == Ready && (!ready || !st.Since.Equal(since))
			ready, since = st.State == Ready, st.Since
			switch {
			case back:
				if shown {
					e.showAgain(b)
				}
				shown = false
				e.wake(b)
			case !ready && st.Changed && !shown:
				shown = true
				e.showAgain(b)
			case !ready:
				unknown.Reset(max(0, time.Until(b.awaySince(st).Add(unknownAfter))))
				if st.reachable() {
					e.wake(b)
				}
			}
			continue
		}
		if b.Status().State != Ready {
			continue
		}
		if err := e.sweep(ctx, b, b.Backend); err != nil {
			e.log.Warn("a sweep failed; nothing is concluded from it", "provider", b.name, "err", err)
		}
		last = time.Now()
		e.wake(b)
	}
}

// Reconcile makes a new generation's list and what is known agree. See [Supervised].
func (e *Engine) Reconcile(ctx context.Context, providerName string, p provider.Provider) error {
	b := e.backends[providerName]
	if b == nil {
		return &Error{Code: CodeInternal, Op: "reconcile", Message: "provider " + providerName + " is not attached"}
	}
	return e.sweep(ctx, b, p)
}

// BackendChanged is told of a provider's new status. It returns at once.
func (e *Engine) BackendChanged(providerName string, _ BackendStatus) {
	if b := e.backends[providerName]; b != nil {
		poke(b.changed)
	}
}

// showAgain tells the watchers of sessions whose status is shown differently now.
func (e *Engine) showAgain(b *backend) {
	for _, s := range e.of(b) {
		e.hub.publish(EventChanged, func() Session { return e.view(s.record()) }, nil)
	}
}

// wake attends to what waits for the provider.
func (e *Engine) wake(b *backend) {
	now := time.Now()
	for _, s := range e.of(b) {
		if s.needs(now) {
			s.mu.Lock()
			s.tries = 0
			s.mu.Unlock()
			e.attend(s)
		}
	}
}

// of returns the provider's living sessions.
func (e *Engine) of(b *backend) []*session {
	var list []*session
	for _, s := range e.all() {
		if rec := s.record(); rec.Provider == b.name && rec.State != lease.Ended {
			list = append(list, s)
		}
	}
	return list
}

// sweep compares one complete list with what is known. It ends nothing by itself: what
// is not as it should be becomes suspect, and is asked about one by one.
func (e *Engine) sweep(ctx context.Context, b *backend, p provider.Provider) (err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	sent := time.Now()
	ctx, op := e.observer.Operation(ctx, b.name, "list_active", OperationIDs{})
	defer func() { op.Done("listed", err) }()
	listed := map[string]provider.Sandbox{}
	summary, err := p.List(ctx, func(sb provider.Sandbox) error {
		if _, twice := listed[sb.ID]; twice || sb.ID == "" {
			return &provider.Error{Class: provider.Internal, Op: "list", ID: sb.ID,
				Message: "the provider's list is refused: an id is empty or comes twice"}
		}
		listed[sb.ID] = sb
		return nil
	})
	op.Measured()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range e.of(b) {
		if id, there := e.compare(s, listed, sent); there {
			known[id] = true
		}
	}
	e.judgeOthers(b, listed, summary.Unreadable, known, sent)
	return nil
}

// compare holds one session against a complete list that was asked for at sent. It
// returns the id of the sandbox that is the session's.
func (e *Engine) compare(s *session, listed map[string]provider.Sandbox, sent time.Time) (id string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb, there := listed[s.rec.SandboxID]
	if s.rec.SandboxID == "" {
		for _, c := range listed {
			if c.SessionID == s.id && c.Name == s.rec.SandboxName {
				sb, there = c, true
			}
		}
	}
	quiet := len(s.token) == 0 && !s.written.IsZero() && s.written.Before(sent)
	switch {
	case s.create != nil && s.create.recovered:
		s.absent++
		if there {
			s.absent = 0
		}
	case s.create != nil || !quiet:
		// The engine is at it; the next sweep will see.
	case !there, s.rec.State == lease.Running && sb.State == provider.StateExited,
		s.rec.State == lease.Running && sb.State == provider.StateCreated,
		s.rec.State == lease.Stopped && sb.State == provider.StateRunning:
		s.suspect = true
	case s.rec.State == lease.Running && sb.Endpoint != nil && s.rec.Endpoint != nil:
		// Something outside may have restarted it: its address is the backend's to say.
		s.rec.Endpoint = &lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
	}
	return sb.ID, there
}
