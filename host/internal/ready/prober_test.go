package ready_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/ready"
	"github.com/berth-dev/berth/sdk/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func endpoint(t *testing.T, a net.Addr) lease.Endpoint {
	t.Helper()
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return lease.Endpoint{IP: host, Port: n}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// probe gives up after a while, so that a test of a failure ends.
func probe(t *testing.T, e lease.Endpoint, r lease.Ready, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return ready.Prober{}.Probe(ctx, e, r)
}

// fails is how a probe fails, which is to be with these words. Where the machine has no
// time for it a short probe has no answer, and a server hangs up too late: so it is asked
// again, for twice as long.
func fails(t *testing.T, e lease.Endpoint, r lease.Ready, words string) (err error) {
	t.Helper()
	for within := 100 * time.Millisecond; within < long; within *= 2 {
		err = probe(t, e, r, within)
		if err != nil && strings.Contains(err.Error(), words) {
			return err
		}
	}
	return err
}

const long = 20 * time.Second // a success is there much sooner

func TestNothingAskedFor(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (ready.Prober{}).Probe(gone, lease.Endpoint{IP: "nonsense"}, lease.Ready{}); err != nil {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err)
			continue
		}
		defer l.Close()
		begun := time.Now()
		if err := probe(t, endpoint(t, l.Addr()), lease.Ready{TCP: true}, long); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		t.Logf("%s: %v", address, time.Since(begun))
	}
}

func TestTCPRefusedThenThere(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	e := endpoint(t, l.Addr())
	l.Close()
	err := fails(t, e, lease.Ready{TCP: true}, "connection refused")
	if want := fmt.Sprintf("127.0.0.1:%d: connection refused", e.Port); err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want %s", err, want)
	}

	// One that begins to listen while it is probed is found.
	done := make(chan error, 1)
	go func() { done <- probe(t, e, lease.Ready{TCP: true}, long) }()
	if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Error(err)
	} else {
		defer l.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// As the proxy of a published port does while nobody listens behind it.
func TestAProxyThatHangsUpIsNotReady(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	var open atomic.Bool
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if open.Load() {
				t.Cleanup(func() { c.Close() })
				continue
			}
			c.Close()
		}
	}()
	defer func() { l.Close(); <-served }()
	e := endpoint(t, l.Addr())
	if err := fails(t, e, lease.Ready{TCP: true}, "accepted, and closed at once"); err == nil || !strings.Contains(err.Error(), "accepted, and closed at once") {
		t.Errorf("got %v", err)
	}
	open.Store(true)
	if err := probe(t, e, lease.Ready{TCP: true}, long); err != nil {
		t.Error(err)
	}
}

// Packets to a full backlog are dropped: no single try may eat all the time.
func TestABlackHoleEndsWithTheContext(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	full := false
	for range 8 {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			full = true
			break
		}
		defer c.Close()
	}
	if !full {
		t.Skip("this system drops no connection to a full backlog")
	}
	begun := time.Now()
	err = probe(t, lease.Endpoint{IP: "127.0.0.1", Port: sa.(*syscall.SockaddrInet4).Port}, lease.Ready{TCP: true}, 1300*time.Millisecond)
	if took := time.Since(begun); err == nil || err.Error() != address+": no answer" || took > 5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestHTTP(t *testing.T) {
	var status atomic.Int32
	var tries, redirected atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		if r.URL.RawQuery != "deep=1&x=%20" || r.Host == "" {
			t.Errorf("asked for %s at %q", r.URL, r.Host)
		}
		if s := int(status.Load()); s/100 == 3 {
			http.Redirect(w, r, "/other", s)
		} else {
			w.WriteHeader(s)
		}
	})
	mux.HandleFunc("/other", func(http.ResponseWriter, *http.Request) { redirected.Add(1) })
	server := httptest.NewUnstartedServer(mux)
	var conns atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	e := endpoint(t, server.Listener.Addr())
	asked := lease.Ready{HTTP: "/healthz?deep=1&x=%20"}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")

	for _, s := range []int{503, 404, 302, 301, 400} {
		status.Store(int32(s))
		want := fmt.Sprintf("GET /healthz?deep=1&x=%%20 answers HTTP %d %s", s, http.StatusText(s))
		err := fails(t, e, asked, want)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, s := range []int{200, 204} {
		status.Store(int32(s))
		if err := probe(t, e, asked, long); err != nil {
			t.Error(err)
		}
	}
	if redirected.Load() != 0 {
		t.Error("a redirect was followed")
	}
	if conns.Load() < tries.Load() || tries.Load() < 10 {
		t.Errorf("%d connections for %d tries", conns.Load(), tries.Load())
	}
}

// raw serves one answer to each connection and then keeps it open.
func raw(t *testing.T, answer string) lease.Endpoint {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 4096)); err == nil {
					io.WriteString(c, answer)
					io.Copy(io.Discard, c) // until the prober has gone
				}
			}()
		}
	}()
	return endpoint(t, l.Addr())
}

func TestHTTPFromOddServers(t *testing.T) {
	if err := probe(t, raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"), lease.Ready{HTTP: "/"}, long); err != nil {
		t.Errorf("a body without an end: %v", err)
	}
	for name, c := range map[string]struct {
		answer, words string
	}{
		"no HTTP":      {"SSH-2.0-OpenSSH\r\n\r\n", "malformed HTTP"},
		"endless head": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), "server response headers exceeded"},
		"silence":      {"", "no answer"},
	} {
		if err := fails(t, raw(t, c.answer), lease.Ready{HTTP: "/"}, c.words); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An agent that needs longer than the first try waits is found by a later one.
func TestASlowAnswerIsAwaited(t *testing.T) {
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		timer := time.NewTimer(1500 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	if err := probe(t, endpoint(t, server.Listener.Addr()), lease.Ready{HTTP: "/"}, long); err != nil || tries.Load() < 2 {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
}

func TestAPathThatIsNone(t *testing.T) {
	for _, path := range []string{"healthz", "@127.0.0.1:1/", "http://example.org/", "/a b\x7f", "*"} {
		err := probe(t, lease.Endpoint{IP: "127.0.0.1", Port: 1}, lease.Ready{HTTP: path}, long)
		if !errors.Is(err, provider.InvalidArgument) || !strings.Contains(err.Error(), fmt.Sprintf("ready.http: %q is no path", path)) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestACallerWhoLeaves(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (ready.Prober{}).Probe(gone, lease.Endpoint{IP: "127.0.0.1", Port: 1}, lease.Ready{TCP: true}); err == nil {
		t.Error("ready without a try")
	}
	e := raw(t, "")
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ready.Prober{}.Probe(ctx, e, lease.Ready{HTTP: "/"}) }()
	leave()
	select {
	case err := <-done:
		if err == nil {
			t.Error("ready without an answer")
		}
	case <-time.After(5 * time.Second):
		t.Error("the probe goes on without its caller")
	}
}
