package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// shutdown bounds what calls under way get when serving ends.
const shutdown = 2 * time.Second

// Serve answers on l until ctx is done: HTTP/1.1, and HTTP/2 without TLS. Then calls
// under way get 2 s, after which their contexts end. It returns when every handler has,
// and l is closed. Streams end at once if the Server was closed before ctx.
//
// It accepts fewer connections at once than half of the descriptors that the process may
// have, and at most 4096; the others wait. One that can't be written to for 30 s is closed.
//
// Errors: l broke down while ctx was not done.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	calls := &calls{handler: h}
	server := &http.Server{
		Handler: calls, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000, WriteByteTimeout: writeTime},
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ctx, broken := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
		defer cancel()
		if server.Shutdown(within) != nil {
			server.Close()
		}
	}()
	err := server.Serve(limit(l, connections()))
	broken()
	<-done
	calls.wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// calls counts the handlers that run: http.Server.Close does not wait for them.
type calls struct {
	handler http.Handler

	mu      sync.Mutex
	running int
	idle    chan struct{} // not nil when somebody waits; closed when none runs
}

// ServeHTTP refuses calls that come too late.
func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	late := c.idle != nil
	if !late {
		c.running++
	}
	c.mu.Unlock()
	if late {
		http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
		return
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running--; c.running == 0 && c.idle != nil {
			close(c.idle)
		}
	}()
	c.handler.ServeHTTP(w, r)
}

// wait returns when no handler runs. None begins after it.
func (c *calls) wait() {
	c.mu.Lock()
	c.idle = make(chan struct{})
	if c.running == 0 {
		close(c.idle)
	}
	c.mu.Unlock()
	<-c.idle
}
