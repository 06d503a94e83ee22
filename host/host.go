package host

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/control"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/metrics"
	"github.com/berth-dev/berth/host/internal/ready"
	"github.com/berth-dev/berth/host/internal/statedir"
	"github.com/berth-dev/berth/sdk/launch"
)

// stopGrace bounds what a host that stops waits for its work in flight.
const stopGrace = 15 * time.Second

// Host keeps sessions. Make one with New, Run it once; its verbs may be called from any
// goroutine in between. Those that need a provider fail with CodeUnavailable before it is
// ready.
type Host struct {
	opts     Options
	log      *slog.Logger
	dir      *statedir.Dir
	runDir   string // where the plugins' sockets are
	store    lease.Store
	engine   *lifecycle.Engine
	metrics  *metrics.Metrics
	gatherer prometheus.Gatherer
	control  *control.Server

	begun     chan struct{} // closed when Run has begun, or never will
	begin     sync.Once     // closes it
	reloading sync.Mutex    // held by the one reload that goes on

	mu      sync.Mutex
	cfg     *config.Config
	slots   []*slot // in the order of the configuration
	state   runState
	address string // where the endpoints are served, once they are
	plugins *plugins
}

// plugins is what the supervisors of a host that runs live under.
type plugins struct {
	host context.Context // of Run: done when the host is to stop
	ctx  context.Context // done later, when its work is
	work sync.WaitGroup
}

type runState int

const (
	made runState = iota
	running
	stopping
	closed
)

// config is the configuration of now.
func (h *Host) config() *config.Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cfg
}

// providers are the slots of now.
func (h *Host) providers() []*slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.slots
}

// New makes a host: it takes the lock of the state directory and reads the leases. It
// starts nothing. Whoever does not Run it has to Close it.
//
// Errors: the state directory is another host's (its pid is named) or can't be used; the
// lease store is of a newer version; the metrics are registered already.
func New(cfg *config.Config, opts Options) (*Host, error) { return newHost(cfg, opts, false) }

// newHost makes a host, or what stands in for one that never comes back: see Reap.
func newHost(cfg *config.Config, opts Options, onlyExpired bool) (_ *Host, err error) {
	opts = opts.withDefaults()
	h := &Host{cfg: cfg, opts: opts, log: opts.Logger, begun: make(chan struct{})}
	for name := range opts.Providers {
		if cfg.Provider(name) == nil {
			return nil, fmt.Errorf("host: provider %q is linked in, but the configuration has no such block", name)
		}
	}
	undo := true
	defer func() {
		if undo {
			h.release()
		}
	}()
	if h.dir, err = statedir.Open(cfg.StateDir, cfg.Owner); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if why := h.dir.Unnamed(); why != nil {
		h.log.Warn("the lock of state_dir is held, and does not name this process", "state_dir", cfg.StateDir, "err", why)
	}
	registerer := opts.Registerer
	if registerer == nil {
		registry := prometheus.NewRegistry()
		registerer, h.gatherer = registry, registry
	} else if g, ok := registerer.(prometheus.Gatherer); ok {
		h.gatherer = g
	}
	if h.metrics, err = metrics.New(registerer); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	ctx := context.Background()
	store, err := lease.Open(ctx, h.dir.Leases(), lease.Options{Owner: h.dir.Owner(), Observe: h.metrics.LeaseCommit, Logger: h.log})
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	h.store = store
	switch moved := store.Damaged(); {
	case moved != "":
		h.log.Error("the lease store was damaged and was moved aside; the sandboxes of before are adopted as they are found, without the extensions that they had", "moved_to", moved)
	case store.Made() && lost(h.dir.Used(), store.SetAside()):
		h.log.Error("the lease store is lost: a host was here before, and there was none; the sandboxes of before are adopted as they are found, without the extensions that they had",
			"path", h.dir.Leases(), "set_aside", store.SetAside())
	}
	if err := h.assemble(ctx, cfg, onlyExpired); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	h.control = control.New(served{h}, control.Options{Logger: h.log})
	undo = false
	return h, nil
}

// lost reports whether leases that are not there have been: a host was here before, or a
// start has moved a damaged store aside and came no further.
func lost(used bool, setAside []string) bool { return used || len(setAside) > 0 }

// assemble makes the engine and a supervisor for each provider block.
func (h *Host) assemble(ctx context.Context, cfg *config.Config, onlyExpired bool) (err error) {
	h.engine, err = lifecycle.New(ctx, lifecycle.Options{
		Owner: h.dir.Owner(), Limits: limitsOf(cfg), Templates: templatesOf(cfg), Adopt: adoptOf(cfg),
		Store: h.store, Prober: ready.Prober{},
		Observer: observer{metrics: h.metrics, tracer: h.opts.TracerProvider.Tracer(instrumentation)},
		Logger:   h.log, Suspended: suspended, OnlyExpired: onlyExpired,
	})
	if err != nil {
		return err
	}
	h.metrics.Sessions(h.counts)
	if h.runDir, err = launch.PrepareRunDir(cfg.StateDir); err != nil {
		return err
	}
	h.pruneCache(ctx, cfg)
	for _, p := range cfg.Providers {
		s, err := h.newSlot(cfg, p)
		if err != nil {
			return err
		}
		h.slots = append(h.slots, s)
	}
	return nil
}

func limitsOf(cfg *config.Config) lifecycle.Limits {
	l := cfg.Lifecycle
	return lifecycle.Limits{
		SweepInterval: l.SweepInterval, StopGrace: l.StopGrace, CreateTimeout: l.CreateTimeout, RecoveryGrace: l.RecoveryGrace,
		EndedRetention: l.EndedRetention, MaxTTL: l.MaxTTL, MaxLifetime: l.MaxLifetime,
		MaxSessions: l.MaxSessions, MaxCreating: l.MaxCreating, MaxReaping: l.MaxReaping,
	}
}

// adoptOf tells whose sandboxes each provider takes over.
func adoptOf(cfg *config.Config) map[string][]string {
	owners := map[string][]string{}
	for _, p := range cfg.Providers {
		owners[p.Name] = p.Adopt
	}
	return owners
}

func templatesOf(cfg *config.Config) []lifecycle.Template {
	var list []lifecycle.Template
	for _, t := range cfg.Templates {
		list = append(list, template{t: t, volumeRoots: cfg.VolumeRoots})
	}
	return list
}

// Owner is the id that this host writes on everything it makes.
func (h *Host) Owner() string { return h.dir.Owner() }

// Run starts the plugins, keeps the deadlines and serves metrics.address and
// control.socket, until ctx is done or a required provider can't be had. It then takes nothing new, ends the creates
// in flight so that they leave nothing, ends the plugins, and lets go of the state
// directory. Sandboxes stay. It may be called once.
func (h *Host) Run(ctx context.Context) error {
	h.mu.Lock()
	if h.state != made {
		h.mu.Unlock()
		return errors.New("host: Run may be called once, and not after Close")
	}
	h.state = running
	h.mu.Unlock()
	defer h.Close()

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	pluginsCtx, stopPlugins := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlugins()
	web, err := h.listen()
	if err != nil {
		return err
	}
	socket, err := control.Listen(h.config().Control.Socket)
	if err != nil {
		return errors.Join(fmt.Errorf("host: %w", err), web.close())
	}

	var work sync.WaitGroup
	work.Go(func() { web.serve(pluginsCtx, fail) })
	work.Go(func() {
		if err := control.Serve(pluginsCtx, socket, h.control.Handler(), h.log); err != nil {
			fail(fmt.Errorf("host: control.socket: %w", err))
		}
	})
	h.mu.Lock()
	h.plugins = &plugins{host: ctx, ctx: pluginsCtx}
	cfg, slots := h.cfg, h.slots
	for _, s := range slots {
		h.plugins.start(h, s)
		if s.block().Required {
			work.Go(func() { h.require(ctx, s, fail) })
		}
	}
	h.mu.Unlock()
	h.begin.Do(func() { close(h.begun) })
	h.log.Info("the host runs", "owner", h.Owner(), "state_dir", cfg.StateDir, "providers", len(slots), "templates", len(cfg.Templates), "socket", cfg.Control.Socket)
	context.AfterFunc(ctx, h.control.Close)
	h.engine.Run(ctx, stopGrace) // until ctx is done
	h.log.Info("the host stops; sandboxes stay", "reason", context.Cause(ctx))
	h.mu.Lock()
	h.state = stopping
	h.mu.Unlock()
	stopPlugins()
	h.reloading.Lock() // a reload that goes on leaves nothing behind
	h.plugins.work.Wait()
	h.reloading.Unlock()
	work.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// Close lets go of the state directory of a host that is not run. After Run it does
// nothing.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == closed {
		return nil
	}
	h.state = closed
	h.begin.Do(func() { close(h.begun) })
	return h.release()
}

func (h *Host) release() error {
	var errs []error
	if h.control != nil {
		h.control.Close()
	}
	if h.metrics != nil {
		h.metrics.Close()
	}
	if h.store != nil {
		errs = append(errs, h.store.Close())
	}
	if h.dir != nil {
		errs = append(errs, h.dir.Close())
	}
	return errors.Join(errs...)
}

// Create makes a session and returns when its agent answers. See [CreateRequest].
//
// Errors: CodeInvalidArgument, CodeNotFound (template), CodeConflict, CodeUnavailable,
// CodeResourceExhausted, CodeSandboxStartFailed; after each of them nothing is left.
func (h *Host) Create(ctx context.Context, req CreateRequest) (Session, error) {
	return h.engine.Create(ctx, req)
}

// Ensure answers with the chat's newest creating or running session, once its provider has
// confirmed that it runs, and with its deadline pushed to at least now + TTL, as far as
// max_lifetime allows; or makes a new one. Concurrent callers get the same. While the
// provider is away the answer is CodeUnavailable, never a second sandbox.
//
// Errors: those of Create; CodeConflict, with the session, also when the one that is there
// has another template, agent or volume.
func (h *Host) Ensure(ctx context.Context, req CreateRequest) (Session, error) {
	return h.engine.Ensure(ctx, req)
}

// Get answers from memory, for living sessions and for terminal records.
// Errors: CodeInvalidArgument, CodeNotFound.
func (h *Host) Get(_ context.Context, id string) (Session, error) { return h.engine.Get(id) }

// List answers from memory, oldest first. Errors: CodeInvalidArgument.
func (h *Host) List(_ context.Context, f Filter) ([]Session, error) { return h.engine.List(f) }

// ListPage answers from memory with a part of what List would, and the cursor for the next
// part; nil when this was the last. Errors: CodeInvalidArgument.
func (h *Host) ListPage(_ context.Context, f Filter, page Page) ([]Session, *Cursor, error) {
	return h.engine.ListPage(f, page)
}

// Extend pushes a session's deadline later, and never shortens. The new deadline is on
// disk when it returns.
//
// Errors: CodeInvalidArgument (over max_ttl or max_lifetime), CodeNotFound,
// CodeConflict (it has ended, is stopping, or has another deadline than was seen),
// CodeUnavailable.
func (h *Host) Extend(ctx context.Context, id string, req ExtendRequest) (Session, error) {
	return h.engine.Extend(ctx, id, req)
}

// Stop ends what runs in the sandbox and keeps the sandbox until the session's deadline
// or delete. A session that is stopped or has ended is success. Errors: CodeNotFound,
// CodeUnavailable (the intent is kept), CodeSandboxStopFailed.
func (h *Host) Stop(ctx context.Context, id string) (Session, error) { return h.engine.Stop(ctx, id) }

// Delete removes the session's sandbox by force, in every state, and ends the session. A
// session that has ended is success. Errors: CodeNotFound, CodeUnavailable (the intent
// is kept), CodeSandboxStopFailed.
func (h *Host) Delete(ctx context.Context, id string) error { return h.engine.Delete(ctx, id) }

// Watch yields a snapshot, then synced, then an event for each change, until ctx is
// done. A watcher that lags too far behind gets resync, and the sequence ends.
func (h *Host) Watch(ctx context.Context) iter.Seq[Event] { return h.engine.Watch(ctx) }

// Logs yields what a session's sandbox printed; with Follow until the sandbox has ended. It
// returns yield's error when there is one.
//
// Errors: CodeInvalidArgument, CodeNotFound (no such session, or no sandbox yet or any
// more), CodeUnavailable, CodeUnsupported.
func (h *Host) Logs(ctx context.Context, id string, req LogsRequest, yield func(LogChunk) error) error {
	return h.engine.Logs(ctx, id, req, yield)
}

func (h *Host) counts() []metrics.SessionCount {
	var list []metrics.SessionCount
	for _, c := range h.engine.Counts() {
		list = append(list, metrics.SessionCount{Provider: c.Provider, Template: c.Template, Status: string(c.Status), N: c.N})
	}
	return list
}

// pluginPath is where a provider's binary is: as it is written when that is absolute,
// else in the plugin directory.
func pluginPath(cfg *config.Config, p *config.Provider) (string, error) {
	if filepath.IsAbs(p.Command) {
		return p.Command, nil
	}
	dir := cfg.PluginDir
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Dir(self)
	}
	return filepath.Join(dir, p.Command), nil
}
