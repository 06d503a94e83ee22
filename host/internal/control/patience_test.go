package control

import (
	"bytes"
	"context"
	"fmt"
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

// piped is a server on pipes, inside a bubble.
func piped(t *testing.T, h http.Handler) (l *pipes, stop func()) {
	l = newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	return l, func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// h2 is a client of HTTP/2.
func (p *pipes) h2(dial func() net.Conn) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil }}
}

// TestBodyThatNeverComes wants refusals answered at once, though their body does not
// come, and their connection closed in time; and health bounded as the verbs are.
func TestBodyThatNeverComes(t *testing.T) {
	const get, check = "/" + sessionService + "GetSession", "/grpc.health.v1.Health/Check"
	for _, c := range []struct {
		line, kind string
		status     int
		after      time.Duration
		words      string
	}{
		{"POST /nope", "application/json", 404, 0, "is no method"},
		{"POST /nope", "application/grpc", 200, 0, ""},
		{"PUT " + get, "application/json", 405, 0, "is called with POST"},
		{"POST " + get, "text/plain", 415, 0, "does not take"},
		{"PUT " + check, "application/json", 405, 0, "is called with POST"},
		{"POST /" + reflection, "application/grpc", 505, 0, ""},
		{"POST " + check, "application/json", 400, bodyTime, "check: the body did not arrive within 30s"},
		{"POST /grpc.health.v1.Health/Watch", "application/connect+json", 200, bodyTime, "watch: the body did not arrive within 30s"},
		{"POST " + get, "application/json", 400, bodyTime, "get: the body did not arrive within 30s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := New(&fakeHost{}, Options{})
			l, stop := piped(t, server.Handler())
			defer stop()
			defer server.Close()
			conn := l.dial()
			defer conn.Close()
			began := time.Now()
			status, text := exchange(t, conn, c.line+" HTTP/1.1\r\nHost: berth\r\nContent-Type: "+c.kind+"\r\nContent-Length: 10\r\n\r\n{")
			if took := time.Since(began); status != c.status || !strings.Contains(text, c.words) || took != c.after {
				t.Errorf("%s %s: %d %q after %v, want %d %q after %v", c.line, c.kind, status, text, took, c.status, c.words, c.after)
			}
			_, err := io.Copy(io.Discard, conn)
			if took := time.Since(began); err != nil || took > idleTime+time.Second {
				t.Errorf("%s %s: the connection ends after %v with %v", c.line, c.kind, took, err)
			}
		})
	}
}

const reflection = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

// TestIdleReflection wants a reflection stream to end when nothing comes for its time,
// and each message to give it more.
func TestIdleReflection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := New(&fakeHost{}, Options{})
		l, stop := piped(t, server.Handler())
		defer stop()
		client := l.h2(l.dial)
		defer client.CloseIdleConnections()
		body, send := io.Pipe()
		defer send.Close()
		req, _ := http.NewRequest("POST", "http://berth/"+reflection, body)
		req.Header.Set("Content-Type", "application/grpc")
		began, sent := time.Now(), make(chan struct{})
		go func() {
			defer close(sent)
			for range 3 {
				time.Sleep(idleTime - time.Second) // of fake time
				send.Write([]byte{0, 0, 0, 0, 2, 0x3a, 0})
			}
		}()
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answers, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		<-sent
		if want, took := 4*idleTime-3*time.Second, time.Since(began); took != want || bytes.Count(answers, []byte("SessionService")) != 3 {
			t.Errorf("ends after %v, want %v; answers %q", took, want, answers)
		}
	})
}

// TestLongCallWithoutBody wants the time of a body not to end a call that has none.
func TestLongCallWithoutBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := New(&fakeHost{get: func(ctx context.Context, _ string) (api.Session, error) {
			select {
			case <-time.After(time.Hour):
				return running(), nil
			case <-ctx.Done():
				return api.Session{}, ctx.Err()
			}
		}}, Options{})
		l, stop := piped(t, server.Handler())
		defer stop()
		conn := l.dial()
		defer conn.Close()
		if status, text := exchange(t, conn, strings.Replace(head, "json", "proto", 1)+"Content-Length: 0\r\n\r\n"); status != 200 {
			t.Errorf("%d %q", status, text)
		}
	})
}

// watchRequest is a watch in HTTP/1.
const watchRequest = "POST /" + sessionService + "WatchSessions HTTP/1.1\r\nHost: berth\r\nContent-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\x00\x00\x00\x00\x02{}"

func h2Watch() *http.Request {
	req, _ := http.NewRequest("POST", "http://berth/"+sessionService+"WatchSessions", strings.NewReader("\x00\x00\x00\x00\x02{}"))
	req.Header.Set("Content-Type", "application/connect+json")
	return req
}

// deaf is a connection whose client reads nothing after it is told so.
type deaf struct {
	net.Conn
	now    chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (d *deaf) Read(p []byte) (int, error) {
	select {
	case <-d.now:
		<-d.closed
		return 0, net.ErrClosed
	default:
		return d.Conn.Read(p)
	}
}

func (d *deaf) Close() error { d.once.Do(func() { close(d.closed) }); return d.Conn.Close() }

// TestWatcherThatReadsNothing wants its call to end after the time of a write: in HTTP/1,
// in HTTP/2 when its stream is not read, and when its connection is not.
func TestWatcherThatReadsNothing(t *testing.T) {
	watchers := map[string]func(*testing.T, *pipes) func(){
		"http/1": func(t *testing.T, l *pipes) func() {
			conn := l.dial()
			if _, err := io.WriteString(conn, watchRequest); err != nil {
				t.Fatal(err)
			}
			return func() { conn.Close() }
		},
		"stream": func(t *testing.T, l *pipes) func() {
			client := l.h2(l.dial)
			resp, err := client.RoundTrip(h2Watch())
			if err != nil {
				t.Fatal(err)
			}
			return func() { resp.Body.Close(); client.CloseIdleConnections() }
		},
		"connection": func(t *testing.T, l *pipes) func() {
			d := &deaf{Conn: l.dial(), now: make(chan struct{}), closed: make(chan struct{})}
			client := l.h2(func() net.Conn { return d })
			resp, err := client.RoundTrip(h2Watch())
			if err != nil {
				t.Fatal(err)
			}
			close(d.now)
			return func() { d.Close(); resp.Body.Close(); client.CloseIdleConnections() }
		},
	}
	for name, watch := range watchers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, over := make(chan struct{}), make(chan time.Duration, 1)
				many := yieldMany(began)
				server := New(&fakeHost{watch: func(ctx context.Context) iter.Seq[api.Event] {
					return func(yield func(api.Event) bool) {
						start := time.Now()
						many(ctx)(yield)
						over <- time.Since(start)
					}
				}}, Options{})
				l, stop := piped(t, server.Handler())
				leave := watch(t, l)
				if took := <-over; took != writeTime {
					t.Errorf("ends after %v, want %v", took, writeTime)
				}
				leave()
				stop()
			})
		})
	}
}

// TestStuckReaders wants the same of sockets, whichever protocol.
func TestStuckReaders(t *testing.T) {
	w := start(t)
	w.server.writeTime = 50 * time.Millisecond
	over := make(chan struct{}, 1)
	w.host.watch = func(ctx context.Context) iter.Seq[api.Event] {
		return func(yield func(api.Event) bool) {
			for yield(api.Event{Type: api.EventChanged, Session: running()}) {
			}
			over <- struct{}{}
		}
	}
	for protocol, o := range w.openers(t) {
		o.watch(t.Context())
		receive(t, over, "end of the watch by "+protocol)
	}
}

// TestIdleWatcher wants a watch to go on though nothing is told for long.
func TestIdleWatcher(t *testing.T) {
	watch := func(context.Context) iter.Seq[api.Event] {
		return func(yield func(api.Event) bool) {
			for range 3 {
				if !yield(api.Event{Type: api.EventSynced}) {
					return
				}
				time.Sleep(time.Hour) // of fake time
			}
			yield(api.Event{Type: api.EventResync})
		}
	}
	read := func(t *testing.T, resp *http.Response, err error) {
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || strings.Count(string(text), "synced") != 3 || !strings.Contains(string(text), "resync") {
			t.Errorf("%q, %v", text, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l, stop := piped(t, New(&fakeHost{watch: watch}, Options{}).Handler())
		client := l.h2(l.dial)
		resp, err := client.RoundTrip(h2Watch())
		read(t, resp, err)
		client.CloseIdleConnections()
		old := &http.Transport{DialContext: client.DialContext}
		resp, err = old.RoundTrip(h2Watch())
		read(t, resp, err)
		old.CloseIdleConnections()
		stop()
	})
}

// TestSlowReader wants one who reads slowly but reads to get all, and one who takes
// nothing of a short answer to lose the connection.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := strings.Repeat("x", 10*piece)
		l, stop := piped(t, New(&fakeHost{get: func(context.Context, string) (api.Session, error) {
			return api.Session{ID: sessionID, VolumeHostPath: large}, nil
		}}, Options{}).Handler())
		conn := l.dial()
		io.WriteString(conn, head+"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
		var got bytes.Buffer
		for {
			time.Sleep(10 * time.Second) // of fake time
			if _, err := io.CopyN(&got, conn, piece); err != nil {
				break
			}
		}
		if got.Len() < len(large) || !strings.Contains(got.String(), sessionID) {
			t.Errorf("gets %d bytes", got.Len())
		}
		conn.Close()

		large = ""
		conn = l.dial()
		io.WriteString(conn, head+"Content-Length: 2\r\n\r\n{}")
		time.Sleep(writeTime + time.Second) // of fake time
		if n, err := io.Copy(io.Discard, conn); n > 0 || err != nil {
			t.Errorf("reads %d bytes, %v, of a connection that should be closed", n, err)
		}
		conn.Close()
		stop()
	})
}

// TestAnswerThatNobodyTakes wants a call in HTTP/2 to end after the time of a write when
// its answer, which is written at once, is not read.
func TestAnswerThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := New(&fakeHost{get: func(context.Context, string) (api.Session, error) {
			return api.Session{ID: sessionID, VolumeHostPath: strings.Repeat("x", 100*piece)}, nil
		}}, Options{}).Handler()
		over := make(chan time.Duration, 1)
		l, stop := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			api.ServeHTTP(w, r)
			over <- time.Since(began)
		}))
		client := l.h2(l.dial)
		req, _ := http.NewRequest("POST", "http://berth/"+sessionService+"GetSession", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if took := <-over; took != writeTime {
			t.Errorf("ends after %v, want %v", took, writeTime)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		stop()
	})
}

// TestCallerThatSendsOnAndLeaves wants the session of a create deleted when its answer
// finds nobody and its id was minted. In HTTP/1 a caller whose next request waits is not
// seen to leave.
func TestCallerThatSendsOnAndLeaves(t *testing.T) {
	for _, c := range []struct {
		body    string
		deleted bool
	}{{`{"template":"t"}`, true}, {`{"template":"t","session_id":"` + sessionID + `"}`, false}} {
		w := start(t)
		creating, left := make(chan struct{}), make(chan struct{})
		w.host.create = func(context.Context, api.CreateRequest) (api.Session, error) {
			close(creating)
			<-left
			return running(), nil
		}
		deleted := make(chan string, 1)
		w.host.remove = func(_ context.Context, id string) error { deleted <- id; return nil }
		conn, err := w.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		request := fmt.Sprintf("POST /%sCreateSession HTTP/1.1\r\nHost: berth\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", sessionService, len(c.body), c.body)
		if _, err := io.WriteString(conn, request+"GET"); err != nil {
			t.Fatal(err)
		}
		receive(t, creating, "create")
		conn.Close()
		close(left)
		if c.deleted {
			if id := receive(t, deleted, "delete"); id != running().ID {
				t.Errorf("%s is deleted", id)
			}
		}
		w.stop() // waits for the call
		if len(deleted) > 0 {
			t.Errorf("%s is deleted, which the caller can ask for", <-deleted)
		}
	}
}
