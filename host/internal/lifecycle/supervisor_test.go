package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// supervisor is a small stand-in for the real one: generations that live and die on a mem
// backend, a reconcile before READY, and events.
type supervisor struct {
	name   string
	engine *lifecycle.Engine
	late   bool // a call whose caller has left goes on at the backend, as at a daemon

	// Told, where they are given, of what is asked and of what is answered.
	asked   func(provider.Spec)                                    // before a create
	listed  func(sent time.Time, ids []string)                     // after a list that was complete
	removed func(req provider.DeleteRequest, was provider.Sandbox) // after a delete

	mu      sync.Mutex
	mem     *mem.Backend
	status  lifecycle.BackendStatus
	alive   context.Context // the current generation's; nil for none
	end     context.CancelFunc
	changed chan struct{}
	specs   []provider.Spec // of all creates
	loops   sync.WaitGroup
	fooled  error // of a list that failed, and yet the reconcile had nothing against it
}

var (
	_ lifecycle.Backend  = (*supervisor)(nil)
	_ provider.LogReader = (*supervisor)(nil)
)

func newSupervisor(name string, b *mem.Backend) *supervisor {
	return &supervisor{name: name, mem: b, changed: make(chan struct{}),
		status: lifecycle.BackendStatus{State: lifecycle.Starting, Since: time.Now()}}
}

func (f *supervisor) set(change func(*lifecycle.BackendStatus)) {
	f.mu.Lock()
	was := f.status.State
	change(&f.status)
	if f.status.State != was {
		f.status.Since = time.Now()
		if was == lifecycle.Ready {
			f.status.ReadyUntil = f.status.Since
		}
	}
	if f.status.State == lifecycle.Ready {
		f.status.Err, f.status.ReadyUntil, f.status.Changed = nil, time.Time{}, false
	}
	st := f.status
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	f.engine.BackendChanged(f.name, st)
}

func (f *supervisor) provider() *mem.Provider {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mem.Provider()
}

func (f *supervisor) boxes() []provider.Sandbox {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mem.Sandboxes()
}

// listing remembers the error of a list.
type listing struct {
	*mem.Provider
	f   *supervisor
	err error
}

func (l *listing) List(ctx context.Context, yield func(provider.Sandbox) error) (summary provider.ListSummary, err error) {
	summary, l.err = l.f.completely(yield, func(yield func(provider.Sandbox) error) (provider.ListSummary, error) {
		return l.Provider.List(ctx, yield)
	})
	return summary, l.err
}

// completely carries out a list, and tells of one that was complete.
func (f *supervisor) completely(yield func(provider.Sandbox) error, list func(func(provider.Sandbox) error) (provider.ListSummary, error)) (provider.ListSummary, error) {
	sent := time.Now()
	var ids []string
	summary, err := list(func(sb provider.Sandbox) error {
		ids = append(ids, sb.ID)
		return yield(sb)
	})
	if err == nil && f.listed != nil {
		f.listed(sent, ids)
	}
	return summary, err
}

func (f *supervisor) fooledBy() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fooled
}

// swap puts another backend in the place of the one that it speaks to, which it does not
// notice by itself.
func (f *supervisor) swap(b *mem.Backend) {
	f.mu.Lock()
	was := f.mem
	f.mem = b
	f.mu.Unlock()
	was.BreakEvents()
}

// start launches a generation, reconciles it, and says READY.
func (f *supervisor) start() error {
	f.mu.Lock()
	f.alive, f.end = context.WithCancel(context.Background())
	alive := f.alive
	f.mu.Unlock()
	ask, cancel := context.WithTimeout(alive, 2*time.Second)
	defer cancel()
	id, err := f.provider().Identity(ask)
	if err != nil {
		f.stop(err)
		return err
	}
	f.set(func(st *lifecycle.BackendStatus) {
		st.State, st.Identity, st.Generation = lifecycle.Reconciling, id, st.Generation+1
	})
	for _, leased := range f.engine.Identities(f.name) {
		if leased != id {
			f.degrade(errors.New("backend changed"), true)
			return errors.New("backend changed")
		}
	}
	f.loops.Go(func() { f.events(alive) })
	p := &listing{Provider: f.provider(), f: f}
	if err := f.engine.Reconcile(alive, f.name, p); err != nil {
		f.stop(err)
		return err
	}
	f.mu.Lock()
	f.fooled = p.err
	f.mu.Unlock()
	f.set(func(st *lifecycle.BackendStatus) { st.State = lifecycle.Ready })
	return nil
}

// stop ends the generation, as a crash of the plugin does.
func (f *supervisor) stop(err error) {
	f.mu.Lock()
	if f.end != nil {
		f.end()
	}
	f.alive = nil
	f.mu.Unlock()
	f.set(func(st *lifecycle.BackendStatus) { st.State, st.Err = lifecycle.Backoff, err })
}

// degrade says that the daemon is away, or that it is another.
func (f *supervisor) degrade(err error, changed bool) {
	f.set(func(st *lifecycle.BackendStatus) { st.State, st.Err, st.Changed = lifecycle.Degraded, err, changed })
}

func (f *supervisor) recover() {
	f.set(func(st *lifecycle.BackendStatus) { st.State = lifecycle.Ready })
}

// away takes the daemon away; back brings it back.
func (f *supervisor) away() {
	f.mem.SetAvailable(false)
	if !f.lives() {
		return
	}
	f.degrade(errors.New("the daemon does not answer"), false)
}

func (f *supervisor) back() {
	f.mem.SetAvailable(true)
	f.recover()
}

func (f *supervisor) lives() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alive != nil
}

func (f *supervisor) events(alive context.Context) {
	for alive.Err() == nil {
		_ = f.provider().Events(alive, func() {}, func(ev provider.Event) error {
			f.engine.SandboxEvent(f.name, ev)
			return nil
		})
		if alive.Err() != nil {
			return
		}
		f.engine.EventsBroken(f.name)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-alive.Done():
		}
	}
}

func (f *supervisor) close() {
	f.mu.Lock()
	if f.end != nil {
		f.end()
	}
	f.alive = nil
	f.mu.Unlock()
	f.loops.Wait()
}

func (f *supervisor) Status() lifecycle.BackendStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *supervisor) WaitReady(ctx context.Context) error {
	for {
		f.mu.Lock()
		st, changed := f.status, f.changed
		f.mu.Unlock()
		if st.State == lifecycle.Ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &provider.Error{Class: provider.Unavailable, Op: "wait", Err: st.Err}
		}
	}
}

// call runs f on the current generation, and fails when that dies.
func call[T any](ctx context.Context, f *supervisor, op string, do func(context.Context, *mem.Provider) (T, error)) (T, error) {
	var none T
	f.mu.Lock()
	alive, st, p := f.alive, f.status, f.mem.Provider()
	f.mu.Unlock()
	identity := op == "identity"
	if alive == nil || !identity && st.Changed || op == "create" && st.State != lifecycle.Ready {
		return none, &provider.Error{Class: provider.Unavailable, Op: op, Err: st.Err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(alive, cancel)()
	answer, err := none, error(nil)
	if f.late && op != "list" && op != "logs" {
		answer, err = leaving(ctx, op, func() (T, error) { return do(ctx, p) })
	} else {
		answer, err = do(ctx, p)
	}
	if alive.Err() != nil {
		return none, &provider.Error{Class: provider.Unavailable, Op: op, Message: "the plugin died", Err: err}
	}
	return answer, err
}

// leaving returns when do does, or when ctx is done; then do goes on behind the caller's back.
func leaving[T any](ctx context.Context, op string, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	c := make(chan answer, 1)
	go func() {
		value, err := do()
		c <- answer{value, err}
	}()
	select {
	case a := <-c:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, &provider.Error{Class: provider.Canceled, Op: op, Err: ctx.Err()}
	}
}

func (f *supervisor) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return call(ctx, f, "prepare", func(ctx context.Context, p *mem.Provider) (provider.Prepared, error) { return p.Prepare(ctx, req) })
}

func (f *supervisor) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	f.mu.Lock()
	f.specs = append(f.specs, spec)
	f.mu.Unlock()
	return call(ctx, f, "create", func(ctx context.Context, p *mem.Provider) (provider.Created, error) {
		if f.asked != nil {
			f.asked(spec)
		}
		return p.Create(ctx, spec)
	})
}

func (f *supervisor) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return call(ctx, f, "get", func(ctx context.Context, p *mem.Provider) (provider.Sandbox, error) { return p.Get(ctx, ref) })
}

func (f *supervisor) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	return f.completely(yield, func(yield func(provider.Sandbox) error) (provider.ListSummary, error) {
		return call(ctx, f, "list", func(ctx context.Context, p *mem.Provider) (provider.ListSummary, error) { return p.List(ctx, yield) })
	})
}

func (f *supervisor) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return call(ctx, f, "stop", func(ctx context.Context, p *mem.Provider) (provider.Stopped, error) { return p.Stop(ctx, req) })
}

func (f *supervisor) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return call(ctx, f, "delete", func(ctx context.Context, p *mem.Provider) (provider.Deleted, error) {
		was := f.boxes()
		answer, err := p.Delete(ctx, req)
		if i := slices.IndexFunc(was, func(sb provider.Sandbox) bool { return sb.ID == req.ID }); f.removed != nil && i >= 0 && answer.Outcome == provider.OutcomeDeleted {
			f.removed(req, was[i])
		}
		return answer, err
	})
}

func (f *supervisor) Health(ctx context.Context) (provider.Health, error) {
	return call(ctx, f, "health", func(ctx context.Context, p *mem.Provider) (provider.Health, error) { return p.Health(ctx) })
}

func (f *supervisor) Identity(ctx context.Context) (string, error) {
	return call(ctx, f, "identity", func(ctx context.Context, p *mem.Provider) (string, error) { return p.Identity(ctx) })
}

func (f *supervisor) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	_, err := call(ctx, f, "logs", func(ctx context.Context, p *mem.Provider) (struct{}, error) {
		return struct{}{}, p.Logs(ctx, req, yield)
	})
	return err
}
