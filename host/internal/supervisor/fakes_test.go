package supervisor_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// launcher launches lives of a plugin on one backend, without a process, so that tests
// can run in virtual time.
type launcher struct {
	backend *mem.Backend
	print   atomic.Value                          // string: the binary's fingerprint
	change  func(*mem.Provider) provider.Provider // nil: none; what it returns has no gate
	before  func(verb mem.Verb)                   // nil: none; called before a create or a list reaches the gate

	claims atomic.Pointer[[]provider.Capability] // nil: what the provider can

	mu    sync.Mutex
	fail  error // of each launch
	at    []time.Time
	lives []*life
}

func (l *launcher) Launch(context.Context) (supervisor.Instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, time.Now())
	if l.fail != nil {
		return nil, l.fail
	}
	x := &life{plugin: changed{mem.Plugin(l.backend), l}, done: make(chan struct{})}
	l.lives = append(l.lives, x)
	return x, nil
}

func (l *launcher) Fingerprint() string {
	s, _ := l.print.Load().(string)
	return s
}

func (l *launcher) setFail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *launcher) launches() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time(nil), l.at...)
}

func (l *launcher) last() *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lives[len(l.lives)-1]
}

// changed is a plugin whose provider may be another.
type changed struct {
	provider.Plugin
	l *launcher
}

func (c changed) Provider() provider.Provider {
	switch {
	case c.l.change != nil:
		return c.l.change(c.l.backend.Provider())
	case c.l.before != nil:
		return late{c.Plugin.Provider(), c.l.before}
	}
	return c.Plugin.Provider()
}

func (c changed) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	configured, err := c.Plugin.Configure(ctx, req)
	if claims := c.l.claims.Load(); claims != nil {
		configured.Capabilities = *claims
	}
	return configured, err
}

// late is a provider whose calls are some time on their way to the plugin.
type late struct {
	provider.Provider
	before func(mem.Verb)
}

func (l late) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	l.before(mem.Create)
	return l.Provider.Create(ctx, spec)
}

func (l late) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	l.before(mem.List)
	return l.Provider.List(ctx, yield)
}

// life is one life of a plugin.
type life struct {
	plugin  provider.Plugin
	hung    atomic.Bool // answers no ping
	killed  atomic.Bool
	drained atomic.Bool

	once sync.Once
	done chan struct{}
	err  error
}

func (x *life) Plugin() provider.Plugin { return x.plugin }
func (x *life) Done() <-chan struct{}   { return x.done }
func (x *life) Err() error              { return x.err }

func (x *life) Ping(ctx context.Context) error {
	if x.hung.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (x *life) die(why string) {
	x.once.Do(func() {
		x.err = errors.New(why)
		close(x.done)
	})
}

func (x *life) Kill() {
	x.killed.Store(true)
	x.die("signal: killed")
}

func (x *life) Close(ctx context.Context) error {
	select {
	case <-x.done:
		return nil
	default:
	}
	err := x.plugin.Drain(ctx)
	x.drained.Store(err == nil)
	x.die("it was closed")
	return nil
}

// settings are config, as they are.
type settings struct {
	config  string
	bindErr error
	explain func() // called by Explain
}

func (s settings) Bind(provider.Schemas) (provider.ValidateRequest, error) {
	config := s.config
	if config == "" {
		config = "{}"
	}
	return provider.ValidateRequest{Config: []byte(config)}, s.bindErr
}

func (s settings) Explain(found provider.Diagnostics) error {
	if s.explain != nil {
		s.explain()
	}
	if found.HasErrors() {
		return errors.New("config.hcl:3: " + found[0].Summary)
	}
	return nil
}

// engine remembers what it is told.
type engine struct {
	mu         sync.Mutex
	identities []string
	reconcile  func(ctx context.Context, p provider.Provider) error
	reconciled int
	changed    func(lifecycle.BackendStatus) // nil: nothing; called at each change
	accepted   []string                      // backends, as told
	acceptErr  error
	statuses   []lifecycle.BackendStatus
	events     []provider.Event
	broken     int
}

func (e *engine) Identities(string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.identities
}

func (e *engine) Reconcile(ctx context.Context, _ string, p provider.Provider) error {
	e.mu.Lock()
	f := e.reconcile
	e.reconciled++
	e.mu.Unlock()
	if f != nil {
		return f(ctx, p)
	}
	_, err := p.List(ctx, func(provider.Sandbox) error { return nil })
	return err
}

// told are the backends that were accepted.
func (e *engine) told() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.accepted...)
}

func (e *engine) AcceptBackend(_ context.Context, _, identity string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accepted = append(e.accepted, identity)
	if e.acceptErr != nil {
		return e.acceptErr
	}
	e.identities = nil
	return nil
}

func (e *engine) BackendChanged(_ string, st lifecycle.BackendStatus) {
	e.mu.Lock()
	e.statuses = append(e.statuses, st)
	f := e.changed
	e.mu.Unlock()
	if f != nil {
		f(st)
	}
}

func (e *engine) SandboxEvent(_ string, ev provider.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, ev)
}

func (e *engine) EventsBroken(string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken++
}

// with reads or changes the engine.
func (e *engine) with(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// states are the states that the engine heard of, repetitions left out.
func (e *engine) states() (all []lifecycle.BackendState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, st := range e.statuses {
		if len(all) == 0 || all[len(all)-1] != st.State {
			all = append(all, st.State)
		}
	}
	return all
}

// observer counts.
type observer struct {
	mu       sync.Mutex
	up       []bool
	restarts []string
	rpcs     map[string]int // "method code"
	others   int            // backends
}

func (o *observer) PluginUp(_ string, up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.up = append(o.up, up)
}

func (o *observer) PluginRestarted(_, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.restarts = append(o.restarts, reason)
}

func (o *observer) BadAnswer(_, method string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rpcs == nil {
		o.rpcs = make(map[string]int)
	}
	o.rpcs[method+" bad answer"]++
}

func (o *observer) OtherBackend(string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.others++
}

func (o *observer) RPC(_, method, code string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rpcs == nil {
		o.rpcs = make(map[string]int)
	}
	o.rpcs[method+" "+code]++
}

func (o *observer) rpc(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rpcs[what]
}

func (o *observer) reasons() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.restarts...)
}
