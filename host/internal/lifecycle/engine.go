package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// Limits are the engine's own. All are positive.
type Limits struct {
	SweepInterval  time.Duration
	StopGrace      time.Duration
	CreateTimeout  time.Duration
	RecoveryGrace  time.Duration // what an adopted sandbox gets that has, or may have, expired
	EndedRetention time.Duration
	MaxTTL         time.Duration
	MaxLifetime    time.Duration
	MaxSessions    int
	MaxCreating    int // at once, for each provider: a hung one must not use up another's
	MaxReaping     int // likewise
}

// Options are what an engine is made of. All but Adopt and Suspended are required.
type Options struct {
	Owner     string
	Limits    Limits
	Store     lease.Store
	Templates []Template
	Prober    Prober
	Observer  Observer
	Logger    *slog.Logger

	// Adopt names, by provider, the owners whose sandboxes are taken over; Unowned means
	// those without one. Nil: none.
	Adopt map[string][]string

	// Suspended tells how long this machine has slept since it started. Nil: never.
	Suspended func() time.Duration

	// OnlyExpired makes an engine that stands in for a host which never comes back: it ends
	// what is past its deadline or was asked to end, and nothing else. A create that was
	// interrupted is left as it is, no list and no event makes a session suspect, and a
	// sandbox of ours without a session, however young, is adopted as after a lost store.
	// Its caller asks it for no session.
	OnlyExpired bool
}

// The causes with which the engine ends what it has under way.
var (
	errDeleted  error = &provider.Error{Class: provider.Canceled, Message: "the session was deleted"}
	errDeadline error = &provider.Error{Class: provider.Canceled, Message: "its deadline passed while it was being created"}
	errStopping error = &provider.Error{Class: provider.Unavailable, Message: "the host is stopping"}
	errLeft     error = &provider.Error{Class: provider.Canceled, Message: "everybody who waited for it has left"}
)

// Engine keeps the sessions of one host. Make one with New, give it its backends with
// Attach, and Run it. The verbs may be called from any goroutine once New has returned.
type Engine struct {
	owner    string
	reaper   bool // Options.OnlyExpired
	policy   atomic.Pointer[policy]
	backends atomic.Pointer[map[string]*backend]
	store    lease.Store
	prober   Prober
	observer Observer
	log      *slog.Logger
	clock    *clock
	hangs    atomic.Bool // the disk of the leases does
	started  time.Time

	hub      hub
	schedule *schedule

	// base ends when the engine must let go of everything; closing is closed when it
	// takes nothing new.
	base    context.Context
	cancel  context.CancelFunc
	closing chan struct{}
	work    sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session
	counts   counts
	loops    context.Context // of Run; nil before it
	looking  sync.WaitGroup  // what runs under loops
}

// New makes an engine and reads the leases. Nothing happens to any session before Run.
func New(ctx context.Context, o Options) (*Engine, error) {
	records, err := o.Store.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	c := newClock(o.Suspended)
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &Engine{
		owner: o.Owner, reaper: o.OnlyExpired, store: o.Store, prober: o.Prober,
		observer: o.Observer, log: o.Logger, clock: c, started: time.Now(),
		schedule: newSchedule(c.now), base: base, cancel: cancel, closing: make(chan struct{}),
		sessions: map[string]*session{}, counts: newCounts(),
	}
	e.policy.Store(newPolicy(o.Limits, o.Templates, o.Adopt))
	e.backends.Store(&map[string]*backend{})
	for _, rec := range records {
		e.remember(rec)
	}
	return e, nil
}

// Run keeps the deadlines and sweeps until ctx is done. It then refuses new creates,
// ends those in flight so that they leave nothing, and returns when that is done or
// grace has passed. Sandboxes stay.
func (e *Engine) Run(ctx context.Context, grace time.Duration) {
	loops, stop := context.WithCancel(e.base)
	defer stop()
	e.mu.Lock()
	e.loops = loops
	e.looking.Go(func() { e.schedule.run(loops, e.attend) })
	e.looking.Go(func() { e.tick(loops, e.noticeSleep) })
	e.looking.Go(func() { e.tick(loops, func() { e.saveUnsaved(loops) }) })
	for _, b := range *e.backends.Load() {
		e.look(b)
	}
	e.mu.Unlock()

	<-ctx.Done()
	e.mu.Lock()
	e.closed = true
	for _, s := range e.sessions {
		s.interruptCreate(errStopping)
		if s.interrupted() {
			s.interruptNow(errStopping)
		}
	}
	close(e.closing)
	e.mu.Unlock()
	stop()
	e.looking.Wait()

	done := make(chan struct{})
	go func() { e.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(grace):
		e.log.Warn("work was still under way when the host stopped; it is finished at the next start", "grace", grace)
	}
	e.cancel()
	<-done
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	e.saveUnsaved(last)
}

// lastSave bounds the last try to write what could not be written.
const lastSave = 2 * time.Second

// spawn runs f in a goroutine that Run waits for. It refuses once the engine is closed.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.work.Go(f)
	return true
}

// remember takes over a lease from an earlier life.
func (e *Engine) remember(rec lease.Record) {
	s := newSession(rec)
	s.closePlanned()
	s.deadline = e.clock.at(rec.ExpiresAt)
	s.written = e.started.Add(-1) // in an earlier life
	if rec.State == lease.Ended {
		close(s.ended)
		s.forget = e.clock.at(rec.Ended.At.Add(e.limits().EndedRetention))
		e.sessions[s.id] = s
		e.schedule.set(s, s.forget)
		return
	}
	if rec.State == lease.Creating && !e.reaper {
		s.create = newCreation(false)
		s.create.recovered = true
	}
	e.sessions[s.id] = s
	e.counts.add(rec)
	e.schedule.set(s, s.deadline)
}

// tick calls f every two seconds.
func (e *Engine) tick(ctx context.Context, f func()) {
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// noticeSleep wakes the schedule when the machine has slept: its timer did too.
func (e *Engine) noticeSleep() {
	if slept := e.clock.noticed(); slept > 0 {
		poke(e.schedule.changed)
		e.log.Info("the machine slept; deadlines went on meanwhile", "slept", slept)
	}
}

func (e *Engine) all() []*session {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	return all
}

func (e *Engine) lookup(op, id string) (*session, error) {
	canonical, err := canonicalID(id)
	if err != nil {
		return nil, invalid(op, "session_id", err.Error())
	}
	e.mu.Lock()
	s, ok := e.sessions[canonical]
	e.mu.Unlock()
	if !ok {
		return nil, &Error{Code: CodeNotFound, Op: op, SessionID: canonical, Message: "no session " + canonical + " is known here"}
	}
	return s, nil
}

// backendOf returns the session's backend; nil when its provider is no longer configured.
func (e *Engine) backendOf(rec lease.Record) *backend { return e.backend(rec.Provider) }

func (e *Engine) fence(rec lease.Record) provider.Fence {
	if rec.Adopted {
		return provider.Fence{Owner: rec.SandboxOwner, SessionID: rec.SessionID, Adopted: rec.SandboxOwner == ""}
	}
	return provider.Fence{Owner: e.owner, SessionID: rec.SessionID}
}
