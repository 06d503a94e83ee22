//go:build linux

package process

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/berth-dev/berth/sdk/keylock"
	"github.com/berth-dev/berth/sdk/provider"
)

// The bounds of what goes on after the caller has left, and of waiting for others.
const (
	// startLook is how long a create whose sandbox nobody probes watches its command.
	startLook = 250 * time.Millisecond

	// startPatience is how long a sandbox that another create has begun may take to run.
	startPatience = 10 * time.Second

	// killPatience is how long a shim may take to end its sandbox by itself.
	killPatience = 5 * time.Second

	// undoBound is how long a failed create may clean up.
	undoBound = 20 * time.Second
)

// Provider runs sandboxes as process trees. Make one with [New].
type Provider struct {
	config  Config
	off     []string
	log     *slog.Logger
	tracer  trace.Tracer
	dir     *stateDir
	machine *machine
	filter  func() ([]byte, error)
	watched watched
	ahead   ahead
	names   keylock.Lock // creates of a name take turns, each with what it undoes

	mu         sync.Mutex
	unreadable map[string]bool // directories whose records were complained about
}

var (
	_ provider.Provider    = (*Provider)(nil)
	_ provider.LogReader   = (*Provider)(nil)
	_ provider.EventSource = (*Provider)(nil)
)

func open(c Config, o Options) (provider.Provider, error) { return New(c, o) }

// New opens a provider on its state directory, which is made when it is missing. It fails
// when config or directory can't be used; that this machine can't isolate is told by the
// verbs and by Health.
func New(config Config, opts Options) (*Provider, error) {
	if d := validateConfig(config); d.HasErrors() {
		return nil, refusal(provider.InvalidArgument, d[0].Summary+": "+d[0].Detail)
	}
	config = config.withDefaults()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.TracerProvider == nil {
		opts.TracerProvider = noop.NewTracerProvider()
	}
	dir, err := openStateDir(config.StateDir)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		config:  config,
		off:     opts.off,
		log:     opts.Logger,
		tracer:  opts.TracerProvider.Tracer("github.com/berth-dev/berth/plugins/process"),
		dir:     dir,
		machine: newMachine(config.Cgroup, &self{dir: dir.path}),
		filter:  sync.OnceValues(seccompFilter),
	}
	p.watched.init()
	p.ahead.start, p.ahead.idle = p.startBlank, idleFor
	p.sweep()
	p.watchAll()
	return p, nil
}

// Close stops watching, and ends the shim that waits for a sandbox. Sandboxes stay.
func (p *Provider) Close() error {
	p.ahead.close()
	p.watched.close()
	p.machine.self.close()
	return nil
}
