package control

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
)

// patience bounds every wait of the tests.
const patience = 20 * time.Second

// fakeHost answers what a test tells it to. A verb that a test did not expect panics.
type fakeHost struct {
	create, ensure func(context.Context, api.CreateRequest) (api.Session, error)
	get, stop      func(context.Context, string) (api.Session, error)
	list           func(context.Context, api.Filter, api.Page) ([]api.Session, *api.Cursor, error)
	extend         func(context.Context, string, api.ExtendRequest) (api.Session, error)
	remove         func(context.Context, string) error
	watch          func(context.Context) iter.Seq[api.Event]
	logs           func(context.Context, string, api.LogsRequest, func(api.LogChunk) error) error
	providers      func() []Provider
}

var _ Host = (*fakeHost)(nil)

func (f *fakeHost) Create(ctx context.Context, r api.CreateRequest) (api.Session, error) {
	return f.create(ctx, r)
}
func (f *fakeHost) Ensure(ctx context.Context, r api.CreateRequest) (api.Session, error) {
	return f.ensure(ctx, r)
}
func (f *fakeHost) Get(ctx context.Context, id string) (api.Session, error)  { return f.get(ctx, id) }
func (f *fakeHost) Stop(ctx context.Context, id string) (api.Session, error) { return f.stop(ctx, id) }
func (f *fakeHost) Delete(ctx context.Context, id string) error              { return f.remove(ctx, id) }
func (f *fakeHost) Watch(ctx context.Context) iter.Seq[api.Event]            { return f.watch(ctx) }
func (f *fakeHost) Providers() []Provider                                    { return f.providers() }
func (f *fakeHost) ListPage(ctx context.Context, filter api.Filter, p api.Page) ([]api.Session, *api.Cursor, error) {
	return f.list(ctx, filter, p)
}
func (f *fakeHost) Extend(ctx context.Context, id string, r api.ExtendRequest) (api.Session, error) {
	return f.extend(ctx, id, r)
}
func (f *fakeHost) Logs(ctx context.Context, id string, r api.LogsRequest, yield func(api.LogChunk) error) error {
	return f.logs(ctx, id, r, yield)
}

// journal is a log that many goroutines write.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// world is a server on a socket.
type world struct {
	host   *fakeHost
	server *Server
	socket string
	log    *journal // of level info and above
	http   *http.Client
	stop   func() // closes the server, and waits until it serves no more
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{host: &fakeHost{}, log: &journal{}, socket: filepath.Join(shortDir(t), "berth.sock")}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.server = New(w.host, Options{Logger: log})
	l, err := Listen(w.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, w.server.Handler(), log) }()
	w.stop = sync.OnceFunc(func() {
		w.server.Close()
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("still serving")
		}
	})
	t.Cleanup(w.stop)
	transport := &http.Transport{DialContext: w.dial}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{Transport: transport, Timeout: patience}
	return w
}

func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
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

// receive is what comes on a channel in time.
func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s after %v", what, patience)
	}
	return v
}
