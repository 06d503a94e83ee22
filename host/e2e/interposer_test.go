package e2e

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
)

// interposer stands between a plugin and the shared daemon, and has a hand in what they say to
// each other. What gate does not understand, it does: it speaks HTTP.
type interposer struct {
	path string

	mu     sync.Mutex
	before func(*http.Request)        // the daemon sees it; nil: nothing
	after  func(*http.Response) error // the daemon has answered, before the plugin sees it; nil: nothing
}

// newInterposer opens one below the place. It ends with the test.
func newInterposer(s *site) *interposer {
	s.t.Helper()
	b := &interposer{path: s.path("interposer.sock")}
	network, address, _ := strings.Cut(world.api.DaemonHost(), "://")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(res *http.Response) error {
			if _, after := b.hooks(); after != nil {
				return after(res)
			}
			return nil
		},
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if before, _ := b.hooks(); before != nil {
			before(req)
		}
		forward.ServeHTTP(w, req)
	})}
	l, err := net.Listen("unix", b.path)
	if err != nil {
		s.t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	s.t.Cleanup(func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	return b
}

// line has to be in the provider's block.
func (b *interposer) line() string { return "env = { DOCKER_HOST = \"unix://" + b.path + "\" }\n" }

func (b *interposer) use(before func(*http.Request), after func(*http.Response) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, after
}

func (b *interposer) hooks() (before func(*http.Request), after func(*http.Response) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.before, b.after
}
