package wire

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// dial serves what register registers on a unix socket and returns a connection to it.
func dial(t *testing.T, opts []grpc.DialOption, serve []grpc.ServerOption, register func(*grpc.Server)) (*grpc.ClientConn, *grpc.Server) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(serve...)
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	cc, err := grpc.NewClient("unix:"+socket, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cc.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return cc, server
}

// connect is dial with a client of the plugin that is served.
func connect(t *testing.T, opts []grpc.DialOption, serve []grpc.ServerOption, register func(*grpc.Server)) (*Client, *grpc.Server) {
	t.Helper()
	cc, server := dial(t, opts, serve, register)
	return NewClient(cc), server
}

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open is a configured plugin over mem and over a connection.
func open(t *testing.T, b *mem.Backend) (*Client, *logged) {
	t.Helper()
	log := &logged{}
	c, _ := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(b), slog.New(slog.NewTextHandler(log, nil)))
	})
	if _, err := c.Configure(t.Context(), provider.ConfigureRequest{Owner: "owner"}); err != nil {
		t.Fatal(err)
	}
	return c, log
}

func spec(n int) provider.Spec {
	return provider.Spec{Name: fmt.Sprintf("berth-owner-%d", n), Owner: "owner", SessionID: fmt.Sprintf("session-%d", n),
		RequestHash: "hash", Digest: "sha256:1", Port: 8000, ExpiresAt: time.Unix(1_800_000_000, 0).UTC()}
}

func create(t *testing.T, p provider.Provider, n int) provider.Created {
	t.Helper()
	c, err := p.Create(t.Context(), spec(n))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fence(n int) provider.Fence {
	return provider.Fence{Owner: "owner", SessionID: fmt.Sprintf("session-%d", n)}
}

func list(ctx context.Context, p provider.Provider) (all []provider.Sandbox, s provider.ListSummary, err error) {
	s, err = p.List(ctx, func(x provider.Sandbox) error { all = append(all, x); return nil })
	return all, s, err
}
