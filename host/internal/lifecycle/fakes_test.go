package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// template makes Specs for the mem provider. Its fields are set before the engine runs.
type template struct {
	name     string
	provider string
	ttl      time.Duration
	limits   lifecycle.TemplateLimits
	ready    lease.Ready
	port     int
	config   string // of the sandbox, a JSON object
	specErr  error
}

func (t *template) Name() string                     { return t.name }
func (t *template) Provider() string                 { return t.provider }
func (t *template) TTL() time.Duration               { return t.ttl }
func (t *template) Limits() lifecycle.TemplateLimits { return t.limits }
func (t *template) Ready() lease.Ready               { return t.ready }

func (t *template) Image() provider.PrepareRequest { return provider.PrepareRequest{Image: "sandbox"} }

func (t *template) CheckVolume(volume string) (string, error) {
	if volume == "/outside" {
		return "", &provider.Error{Class: provider.InvalidArgument, Message: "volume: /outside is in none of volume_roots"}
	}
	return "/resolved" + volume, nil
}

func (t *template) Spec(_ context.Context, in lifecycle.SpecInput) (provider.Spec, error) {
	if t.specErr != nil {
		return provider.Spec{}, t.specErr
	}
	return provider.Spec{
		SessionID: in.SessionID, ChatID: in.ChatID, AgentID: in.AgentID, Template: t.name,
		CreatedAt: in.CreatedAt, ExpiresAt: in.ExpiresAt, VolumeHostPath: in.VolumeHostPath,
		Image: "sandbox", Digest: in.Prepared.Digest, Port: t.port, Config: []byte(t.config),
	}, nil
}

// prober answers after a while, or never.
type prober struct {
	mu    sync.Mutex
	after time.Duration
	never bool
	err   error
	calls int
}

func (p *prober) set(after time.Duration, never bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after, p.never = after, never
}

func (p *prober) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *prober) Probe(ctx context.Context, _ lease.Endpoint, _ lease.Ready) error {
	p.mu.Lock()
	p.calls++
	after, never, err := p.after, p.never, p.err
	p.mu.Unlock()
	if never {
		<-ctx.Done()
		return errors.New("connection refused")
	}
	select {
	case <-time.After(after):
		return err
	case <-ctx.Done():
		return errors.New("connection refused")
	}
}

// observer keeps what it is told.
type observer struct {
	mu      sync.Mutex
	ops     []string // "create created", "delete error", …
	ended   []lease.Reason
	lags    []time.Duration
	orphans []string // "deleted", "foreign", …
}

func (o *observer) Operation(ctx context.Context, _, operation string, _ lifecycle.OperationIDs) (context.Context, lifecycle.Operation) {
	return ctx, &operationOf{o: o, name: operation}
}

func (o *observer) Ended(_ string, reason lease.Reason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = append(o.ended, reason)
}

func (o *observer) ExpiryLag(_ string, lag time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lags = append(o.lags, lag)
}

func (o *observer) Orphan(_, action string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orphans = append(o.orphans, action)
}

func (o *observer) all() (ops []string, ended []lease.Reason, lags []time.Duration, orphans []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append(ops, o.ops...), append(ended, o.ended...), append(lags, o.lags...), append(orphans, o.orphans...)
}

type operationOf struct {
	o    *observer
	name string
	done bool
}

func (p *operationOf) Measured() {}

func (p *operationOf) Done(result string, err error) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	if p.done {
		panic("an operation was done twice")
	}
	p.done = true
	if err != nil {
		result = "error"
	}
	p.o.ops = append(p.o.ops, p.name+" "+result)
}

// supervisor is a small stand-in for the real one: generations that live and die on a mem
// backend, a reconcile before READY, and events.
type supervisor struct {
	name   string
	mem    *mem.Backend
	engine *lifecycle.Engine

	mu      sync.Mutex
	status  lifecycle.BackendStatus
	alive   context.Context // the current generation's; nil for none
	end     context.CancelFunc
	changed chan struct{}
	specs   []provider.Spec // of all creates
	loops   sync.WaitGroup
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

// start launches a generation, reconciles it, and says READY.
func (f *supervisor) start() error {
	f.mu.Lock()
	f.alive, f.end = context.WithCancel(context.Background())
	alive := f.alive
	f.mu.Unlock()
	ask, cancel := context.WithTimeout(alive, 2*time.Second)
	defer cancel()
	id, err := f.mem.Provider().Identity(ask)
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
	if err := f.engine.Reconcile(alive, f.name, f.mem.Provider()); err != nil {
		f.stop(err)
		return err
	}
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
		_ = f.mem.Provider().Events(alive, func() {}, func(ev provider.Event) error {
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
	alive, st := f.alive, f.status
	f.mu.Unlock()
	identity := op == "identity"
	if alive == nil || !identity && st.Changed || op == "create" && st.State != lifecycle.Ready {
		return none, &provider.Error{Class: provider.Unavailable, Op: op, Err: st.Err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(alive, cancel)()
	answer, err := do(ctx, f.mem.Provider())
	if alive.Err() != nil {
		return none, &provider.Error{Class: provider.Unavailable, Op: op, Message: "the plugin died", Err: err}
	}
	return answer, err
}

func (f *supervisor) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return call(ctx, f, "prepare", func(ctx context.Context, p *mem.Provider) (provider.Prepared, error) { return p.Prepare(ctx, req) })
}

func (f *supervisor) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	f.mu.Lock()
	f.specs = append(f.specs, spec)
	f.mu.Unlock()
	return call(ctx, f, "create", func(ctx context.Context, p *mem.Provider) (provider.Created, error) { return p.Create(ctx, spec) })
}

func (f *supervisor) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return call(ctx, f, "get", func(ctx context.Context, p *mem.Provider) (provider.Sandbox, error) { return p.Get(ctx, ref) })
}

func (f *supervisor) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	return call(ctx, f, "list", func(ctx context.Context, p *mem.Provider) (provider.ListSummary, error) { return p.List(ctx, yield) })
}

func (f *supervisor) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return call(ctx, f, "stop", func(ctx context.Context, p *mem.Provider) (provider.Stopped, error) { return p.Stop(ctx, req) })
}

func (f *supervisor) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return call(ctx, f, "delete", func(ctx context.Context, p *mem.Provider) (provider.Deleted, error) { return p.Delete(ctx, req) })
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
