package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/berth-dev/berth/sdk/internal/gate"
	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/otlp"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	drainFor = 5 * time.Second // after SIGTERM
	flushFor = 2 * time.Second // for spans, at the end

	answerFor = 200 * time.Millisecond // for answers to reach the host, at the end

	crashed = 2 // the exit status after a panic outside of a call
)

// Serve serves p to the host that started this process, and ends the process: with 0
// when the host is done with it or gone, with 1 when it can't serve. It is the whole of a
// provider's main.
//
// Without a host the binary explains itself to the person who runs it: it knows the verbs
// describe, validate and help, and those of more. Their exit statuses are [StatusDone],
// [StatusFailed] and [StatusUsage].
//
// SIGTERM drains the calls in flight, for 5 s at most. SIGINT is ignored: the host ends
// its plugins itself. What the process prints on stdout or stderr reaches the host's log.
func Serve(p provider.Plugin, more ...Verb) { os.Exit(serve(p, more)) }

func serve(p provider.Plugin, more []Verb) int {
	stderr := os.Stderr // go-plugin puts a pipe of its own in its place
	if os.Getenv(wire.Handshake.MagicCookieKey) != wire.Handshake.MagicCookieValue {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return byHand(ctx, Hand{Plugin: gate.Wrap(p), In: os.Stdin, Out: os.Stdout, Err: stderr}, os.Args, more)
	}
	// Caught and dropped. Ignored signals would also be ignored by what this process starts.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGINT)
	ctx := context.Background()
	info, err := p.Info(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "the plugin can't tell who it is: %v\n", err)
		return 1
	}
	log := newLogger(stderr, info.Name)
	if err := watchLifeline(); err != nil {
		log.Error("the lifeline can't be watched", "err", err)
		return 1
	}
	tracer, shutdown, err := otlp.TracerProvider(ctx, "berth-provider-"+info.Name, info.Version)
	if err != nil {
		log.Error("spans can't be exported", "err", err)
		return 1
	}
	// Serving ends while SIGTERM is still dealt with: who comes second waits for the first.
	flush := sync.OnceFunc(func() {
		bounded, cancel := context.WithTimeout(ctx, flushFor)
		defer cancel()
		if err := shutdown(bounded); err != nil {
			log.Warn("some spans were not exported", "err", err)
		}
	})
	if e, ok := p.(environed); ok {
		e.use(Env{Logger: log, TracerProvider: tracer, crash: func() { os.Exit(crashed) }})
	}
	p = gate.Wrap(p)
	var server atomic.Pointer[grpc.Server]
	drainOnTerm(p, &server, log, flush)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.PluginSets(wire.Plugin{Impl: p, Logger: log}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			s := grpc.NewServer(append(opts, wire.ServerOptions(tracer)...)...)
			server.Store(s)
			return s
		},
		// It tells why there is no handshake, in lines of the same form as log's.
		Logger: hclog.New(&hclog.LoggerOptions{Name: info.Name, Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	flush()
	if server.Load() == nil {
		return 1
	}
	return 0
}

// drainOnTerm ends the process at SIGTERM, when the calls in flight are done and their
// answers are on the way. go-plugin's own streams never end by themselves, so that last
// wait is bounded.
func drainOnTerm(p provider.Plugin, server *atomic.Pointer[grpc.Server], log *slog.Logger, flush func()) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		bounded, cancel := context.WithTimeout(context.Background(), drainFor)
		defer cancel()
		if err := p.Drain(bounded); err != nil {
			log.Warn("calls were cut off", "err", err)
		}
		if s := server.Load(); s != nil {
			answered := make(chan struct{})
			go func() { s.GracefulStop(); close(answered) }()
			select {
			case <-answered:
			case <-time.After(answerFor):
			}
		}
		flush()
		os.Exit(0)
	}()
}
