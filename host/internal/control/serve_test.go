package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
)

// pipes is a listener in memory, whose waits a bubble's clock sees.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// exchange sends a request's text and reads the answer.
func exchange(t *testing.T, conn net.Conn, text string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const head = "POST /" + sessionService + "GetSession HTTP/1.1\r\nHost: berth\r\nContent-Type: application/json\r\n"

// TestSlowBody wants a body that does not arrive refused after its time, and a call whose
// body has arrived to take as long as it takes.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fakeHost{get: func(ctx context.Context, _ string) (api.Session, error) {
			select {
			case <-time.After(time.Hour):
				return running(), nil
			case <-ctx.Done():
				return api.Session{}, ctx.Err()
			}
		}}
		server, l := New(host, Options{}), newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, l, server.Handler(), slog.New(slog.DiscardHandler)) }()

		began := time.Now()
		slow := l.dial()
		defer slow.Close()
		status, text := exchange(t, slow, head+"Content-Length: 10\r\n\r\n{")
		bad := jsonError(t, text)
		if status != http.StatusBadRequest || bad.Code != "invalid_argument" || bad.Message != "get: the body did not arrive within 30s" || bad.Detail.GetCode() != "invalid_argument" {
			t.Errorf("%d %+v", status, bad)
		}
		if took := time.Since(began); took != bodyTime {
			t.Errorf("after %v", took)
		}
		began = time.Now()
		patient := l.dial()
		defer patient.Close()
		if status, text := exchange(t, patient, head+"Content-Length: 2\r\n\r\n{}"); status != 200 || !strings.Contains(text, sessionID) {
			t.Errorf("%d %s", status, text)
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("after %v", took)
		}
		cancel()
		server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestServeIsBounded wants calls under way to get 2 s at the end, then their contexts to
// end, and Serve to return when the handlers have.
func TestServeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Time
		returned := false
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended = time.Now()
			time.Sleep(time.Minute) // of fake time: cleaning up
			returned = true
		})
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
		conn := l.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, head+"Content-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := ended.Sub(began); took != shutdown || !returned {
			t.Errorf("its context ended after %v, and it returned: %v", took, returned)
		}
	})
}

// TestServeTellsWhatBroke wants the listener's own error, and no goroutine left.
func TestServeTellsWhatBroke(t *testing.T) {
	l := newPipes()
	l.Close()
	if err := Serve(t.Context(), l, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestStuckReader wants serving to end although a watcher reads nothing.
func TestStuckReader(t *testing.T) {
	w := start(t)
	full := make(chan struct{})
	w.host.watch = yieldMany(full)
	conn, err := net.Dial("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "POST /" + sessionService + "WatchSessions HTTP/1.1\r\nHost: berth\r\nContent-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\x00\x00\x00\x00\x02{}"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	receive(t, full, "first event")
	w.stop() // fails when it does not end in time
}

// yieldMany is a watch that never ends by itself, and tells of its first event.
func yieldMany(began chan struct{}) func(context.Context) iter.Seq[api.Event] {
	return func(ctx context.Context) iter.Seq[api.Event] {
		return func(yield func(api.Event) bool) {
			ev := api.Event{Type: api.EventChanged, Session: running()}
			for ctx.Err() == nil && yield(ev) {
				if ev.Seq++; ev.Seq == 1 {
					close(began)
				}
			}
		}
	}
}
