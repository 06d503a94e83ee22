package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	listTimeout = time.Minute
	sweepAtMost = time.Second // between two sweeps that broken event streams ask for
)

// sweeper sweeps one provider every sweep_interval, and when an event stream broke.
func (e *Engine) sweeper(ctx context.Context, b *backend) {
	every := e.limits().SweepInterval
	interval := time.NewTicker(every)
	defer interval.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-interval.C:
		case <-b.kick:
			if now := e.limits().SweepInterval; now != every {
				every = now
				interval.Reset(every)
			}
			select {
			case <-time.After(time.Until(last.Add(sweepAtMost))):
			case <-ctx.Done():
				return
			}
		}
		if b.Status().State != Ready {
			continue // it is swept when it is back
		}
		last = time.Now()
		if err := e.sweep(ctx, b, b.Backend); err != nil {
			e.log.Warn("a sweep failed; nothing is concluded from it", "provider", b.name, "err", err)
		}
		e.wake(b)
	}
}

// Reconcile makes a new generation's list and what is known agree. See [Supervised].
func (e *Engine) Reconcile(ctx context.Context, providerName string, p provider.Provider) error {
	b := e.backend(providerName)
	if b == nil {
		return &Error{Code: CodeInternal, Op: "reconcile", Message: "provider " + providerName + " is not attached"}
	}
	return e.sweep(ctx, b, p)
}

// wake attends to what waits for the provider.
func (e *Engine) wake(b *backend) {
	now := e.clock.now()
	for _, s := range e.of(b) {
		if s.needs(now) {
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
	called := op.Call()
	summary, err := p.List(ctx, func(sb provider.Sandbox) error {
		if _, twice := listed[sb.ID]; twice || sb.ID == "" {
			return badAnswer("list", sb.ID, "an id is empty or comes twice") // counted where the call is made
		}
		listed[sb.ID] = sb
		return nil
	})
	called()
	if err == nil {
		err = crash.Point("host.sweep.listed")
	}
	if err != nil {
		return err
	}
	for _, s := range e.of(b) {
		if rec := s.record(); rec.SandboxID != "" {
			if sb, there := listed[rec.SandboxID]; there && e.estranged(rec, sb) != "" {
				_ = e.refuse(b.name, "list", "", "%s", e.estranged(rec, sb))
				continue
			}
		}
		if !e.reaper {
			e.compare(s, listed, sent)
		}
	}
	e.adoptAll(ctx, b, p, e.judgeOthers(b, listed, summary.Unreadable, sent))
	return nil
}

// compare holds one session against a complete list that was asked for at sent.
func (e *Engine) compare(s *session, listed map[string]provider.Sandbox, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb, there := listed[s.rec.SandboxID]
	if s.rec.SandboxID == "" {
		for _, c := range listed {
			if c.Name == s.rec.SandboxName && e.madeFor(s.rec, c) {
				sb, there = c, true
			}
		}
	}
	running, stopped := s.rec.State == lease.Running, s.rec.State == lease.Stopped
	switch {
	case s.create != nil && s.create.recovered:
		s.absent++
		if there {
			s.absent = 0
		}
	case s.create != nil, len(s.token) > 0, !s.written.Before(sent):
		// The engine is at it, or the list is older than what is known.
	case !there,
		running && (sb.State == provider.StateExited || sb.State == provider.StateCreated || moved(s.rec, sb)),
		stopped && sb.State == provider.StateRunning:
		s.suspect = true
	}
}

// claimed reports whether a sandbox is that of a living session, whichever provider's: two
// of them may share a backend.
func (e *Engine) claimed(sb provider.Sandbox) bool {
	e.mu.Lock()
	s := e.sessions[sb.SessionID]
	e.mu.Unlock()
	if s == nil {
		return false
	}
	rec := s.record()
	return rec.State != lease.Ended && (rec.SandboxID == sb.ID || rec.SandboxID == "" && sb.Owner == e.owner)
}
