package docker

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/berth-dev/berth/sdk/keylock"
	"github.com/berth-dev/berth/sdk/provider"
)

// The bounds of what goes on after the caller has left.
const (
	// learnGrace is how long the outcome of a create or a start is awaited after the
	// caller's context is done: what the daemon has made must be known to be removed.
	learnGrace = 10 * time.Second

	// startLook is how long a create whose sandbox nobody probes watches its command.
	startLook = 250 * time.Millisecond

	// undoBound is how long a failed create may clean up.
	undoBound = 20 * time.Second

	// healthBound is how long the daemon may take to say how it is.
	healthBound = 2 * time.Second
)

// Provider runs sandboxes as Docker containers. Make one with [New].
type Provider struct {
	config Config
	log    *slog.Logger
	tracer trace.Tracer
	daemon *daemon

	names    keylock.Lock // held while a sandbox of that name is made
	pulls    pulls
	progress progress
	pinned   pinned
	made     made

	mu         sync.Mutex
	unreadable map[string]bool // containers whose labels were complained about
}

var (
	_ provider.Provider    = (*Provider)(nil)
	_ provider.LogReader   = (*Provider)(nil)
	_ provider.EventSource = (*Provider)(nil)
)

// New makes a provider for the daemon that the environment names. It succeeds also
// while the daemon is away; it fails when config or environment can't be used.
func New(config Config, opts Options) (*Provider, error) {
	if d := validateConfig(config); d.HasErrors() {
		return nil, refusal(provider.InvalidArgument, "open", "", "", d[0].Summary+": "+d[0].Detail)
	}
	d, err := newDaemon()
	if err != nil {
		return nil, &provider.Error{Class: provider.InvalidArgument, Op: "open",
			Message: "the DOCKER_* environment can't be used", Err: err}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.TracerProvider == nil {
		opts.TracerProvider = noop.NewTracerProvider()
	}
	return &Provider{
		config: config.withDefaults(),
		log:    opts.Logger,
		tracer: opts.TracerProvider.Tracer("github.com/berth-dev/berth/plugins/docker"),
		daemon: d,
	}, nil
}

// Close lets go of the connections to the daemon. Sandboxes stay.
func (p *Provider) Close() error {
	p.daemon.close()
	return nil
}

// shortID is how Docker shows an id to people.
func shortID(id string) string { return fmt.Sprintf("%.12s", id) }
