package client_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/control"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chat = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"

// patience bounds every wait of the tests.
const patience = time.Minute

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// shortDir is a directory whose path leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// world is a place for hosts, one at a time, with a backend that outlives them.
type world struct {
	t       *testing.T
	cfg     *config.Config
	backend *mem.Backend
	socket  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := shortDir(t)
	cfg, diags := config.Parse([]byte(`
		state_dir = "`+dir+`/state"
		control { socket = "`+dir+`/b.sock" }
		lifecycle { stop_grace = "1s" }
		provider "mem" {}
		template "default" {
		  provider = "mem"
		  image    = "agent:1"
		}
		template "few" {
		  provider = "mem"
		  image    = "agent:1"
		  limits { sessions = 1 }
		}
	`), "test.hcl")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, cfg: cfg, backend: mem.NewBackend("memory"), socket: dir + "/b.sock"}
}

// host runs a host until stop, or the end of the test.
func (w *world) host() (h *host.Host, stop func()) {
	w.t.Helper()
	h, err := host.New(w.cfg, host.Options{Providers: map[string]provider.Plugin{"mem": mem.Plugin(w.backend)}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	if err := h.WaitReady(within(w.t)); err != nil {
		w.t.Fatal(err)
	}
	return h, stop
}

// open makes a client that the test closes.
func open(t *testing.T, socket string, opts ...client.Option) *client.Client {
	c := client.New(socket, opts...)
	t.Cleanup(c.Close)
	return c
}

// serve serves the API of h on a socket. kill breaks off all connections at once, as the
// death of a process does.
func serve(t *testing.T, socket string, h http.Handler) (kill func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: h, Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	kill = sync.OnceFunc(func() { s.Close(); <-done })
	t.Cleanup(kill)
	return kill
}

// serveFake serves a host of the test's own.
func serveFake(t *testing.T, h control.Host) (socket string) {
	t.Helper()
	socket = filepath.Join(shortDir(t), "b.sock")
	s := control.New(h, control.Options{})
	serve(t, socket, s.Handler())
	t.Cleanup(s.Close)
	return socket
}

func create(t *testing.T, h interface {
	Create(context.Context, client.CreateRequest) (client.Session, error)
}) client.Session {
	t.Helper()
	s, err := h.Create(within(t), client.CreateRequest{Template: "default", ChatID: chat})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
