package suite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// Subject is a plugin that is put to the checks, and the way in which it is reached.
type Subject struct {
	kind kind
	open func(ctx context.Context) (*generation, error)

	// Of a binary.
	path  string
	place *place
}

// kind is the way in which a plugin is reached.
type kind string

const (
	bare   kind = "bare"
	wired  kind = "wire"
	binary kind = "binary"
)

// generation is one life of a plugin, not configured yet.
type generation struct {
	plugin  provider.Plugin
	process *launch.Process                 // nil in process
	end     func(ctx context.Context) error // drains the plugin, and ends it

	told atomic.Bool // that its process has ended, and was not asked to

	once sync.Once
	err  error
}

// close drains the plugin and ends it. The first caller's context holds. The error is for
// a plugin that did not drain, or did not end as it should.
func (g *generation) close(ctx context.Context) error {
	g.once.Do(func() { g.err = g.end(ctx) })
	return g.err
}

// Bare is a plugin in this process, called directly. Each call of open returns a new
// generation of it; all of them are on the same backend.
func Bare(open func() provider.Plugin) Subject {
	return Subject{kind: bare, open: func(context.Context) (*generation, error) {
		p := open()
		if p == nil {
			return nil, errors.New("the function that makes the plugin returned nil")
		}
		return &generation{plugin: p, end: p.Drain}, nil
	}}
}

// Wire is a plugin in this process that is called over gRPC on a unix socket, as a host
// calls it. See [Bare] for open.
func Wire(open func() provider.Plugin) Subject {
	return Subject{kind: wired, open: func(context.Context) (*generation, error) {
		p := open()
		if p == nil {
			return nil, errors.New("the function that makes the plugin returned nil")
		}
		return serve(p)
	}}
}

// serve puts a connection before p.
func serve(p provider.Plugin) (*generation, error) {
	dir, err := os.MkdirTemp("", "berth-")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	server := grpc.NewServer(wire.ServerOptions(nil)...)
	wire.RegisterServer(server, p, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("unix:"+listener.Addr().String(),
		append(wire.DialOptions(nil), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	stop := func() error {
		var errs []error
		if conn != nil {
			errs = append(errs, conn.Close())
		}
		server.Stop() // does not wait for calls
		return errors.Join(append(errs, <-served, os.RemoveAll(dir))...)
	}
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	client := wire.NewClient(conn)
	return &generation{plugin: client, end: func(ctx context.Context) error {
		return errors.Join(client.Drain(ctx), stop())
	}}, nil
}

// configured opens a generation and makes it ready for use, as a host does.
func (s Subject) configured(ctx context.Context, config []byte, owner string) (*generation, provider.Configured, error) {
	g, err := s.open(ctx)
	if err != nil {
		return nil, provider.Configured{}, fmt.Errorf("start: %w", err)
	}
	c, err := g.plugin.Configure(ctx, provider.ConfigureRequest{Config: config, Owner: owner})
	if err != nil {
		return nil, c, errors.Join(fmt.Errorf("configure: %w", err), g.close(ctx))
	}
	return g, c, nil
}

// Open starts a generation and makes it ready for use, as a host of that owner does. The
// caller ends it by close, which drains it.
func (s Subject) Open(ctx context.Context, opts Options, owner string) (p provider.Plugin, close func(context.Context) error, err error) {
	g, _, err := s.configured(ctx, opts.withDefaults().Config, owner)
	if err != nil {
		return nil, nil, err
	}
	return g.plugin, g.close, nil
}
