package docker

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/client"
)

// proxy stands between a provider and the real daemon, and can delay, change or cut
// what goes through.
type proxy struct {
	mu    sync.Mutex // held while a hook runs, so that hooks may share variables
	hooks hooks
	seen  []string // "GET /containers/json"
}

// hooks are called for each request; each may be nil.
type hooks struct {
	before func(req *http.Request)                      // before the daemon sees it
	after  func(req *http.Request, resp *http.Response) // before the provider sees it
	cut    func(req *http.Request) bool                 // whether the answer is lost
}

// use sets the hooks.
func (p *proxy) use(h hooks) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks = h
}

func (p *proxy) arrived(req *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, req.Method+" "+unversioned(req.URL.Path))
	if p.hooks.before != nil {
		p.hooks.before(req)
	}
}

// answered returns whether the answer is lost.
func (p *proxy) answered(resp *http.Response) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hooks.after != nil {
		p.hooks.after(resp.Request, resp)
	}
	return p.hooks.cut != nil && p.hooks.cut(resp.Request)
}

// newProxy serves a proxy, and points the environment of the test at it.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	needDaemon(t)
	if socketFromEnv() == "" {
		t.Skip("the daemon is not on a unix socket")
	}
	return newProxyTo(t, socketFromEnv())
}

// newProxyTo is newProxy for the daemon behind that socket.
func newProxyTo(t *testing.T, daemon string) *proxy {
	t.Helper()
	p := &proxy{}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", daemon)
	}}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			if p.answered(resp) {
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p.arrived(req)
		// The daemon's work goes on when the provider has left, as it would without a proxy.
		forward.ServeHTTP(w, req.WithContext(context.WithoutCancel(req.Context())))
	})}
	dir, err := os.MkdirTemp("", "berth-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "d.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	})
	t.Setenv(client.EnvOverrideHost, "unix://"+path)
	return p
}

// requests returns what was asked since the last call.
func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.seen
	p.seen = nil
	return out
}

// unversioned cuts the API version off a path.
func unversioned(path string) string {
	if rest, ok := strings.CutPrefix(path, "/v1."); ok {
		if _, after, ok := strings.Cut(rest, "/"); ok {
			return "/" + after
		}
	}
	return path
}

// is reports whether a request is of that method, and its path ends so.
func is(req *http.Request, method, suffix string) bool {
	return req.Method == method && strings.HasSuffix(req.URL.Path, suffix)
}

// rewrite changes the JSON object of an answer.
func rewrite(t *testing.T, resp *http.Response, change func(map[string]any)) {
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	_ = resp.Body.Close()
	object := map[string]any{}
	if err := json.Unmarshal(b, &object); err != nil {
		t.Error(err)
	}
	change(object)
	if b, err = json.Marshal(object); err != nil {
		t.Error(err)
	}
	replace(resp, resp.StatusCode, string(b))
}

// replace puts another answer in the place of the daemon's.
func replace(resp *http.Response, status int, body string) {
	resp.StatusCode, resp.Status = status, ""
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	resp.Header.Set("Content-Type", "application/json")
}
