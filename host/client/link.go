package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 90 * time.Second
	// A host that hangs is found by a ping: a stream would wait for it without end.
	pingAfter   = 5 * time.Second
	pingTimeout = 10 * time.Second
	// What a slow reader of a stream lets pile up here, in bytes. Beyond it the host sees
	// that the reader is slow.
	streamBuffer = 256 << 10
)

var errClosed = errors.New("the client is closed")

// link is the way to the host. It is what Connect sends its requests through.
type link struct {
	socket string // "": a base URL says where
	where  string // for people: the socket or the base URL
	http   *http.Client
	own    *http.Transport // nil: http is the caller's

	done chan struct{} // closed by close

	mu    sync.Mutex // guards conns, and the closing of done
	conns map[*conn]struct{}
}

// transport speaks HTTP/2 without TLS on the socket, where all calls share a connection.
// Elsewhere it speaks what the URL and the server want.
func (l *link) transport() *http.Transport {
	t := &http.Transport{
		DialContext: l.dial, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: dialTimeout, Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamBuffer},
	}
	if l.socket != "" {
		t.Protocols.SetUnencryptedHTTP2(true)
		return t
	}
	t.Proxy = http.ProxyFromEnvironment
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(true)
	return t
}

// Do sends a request, with the caller's trace.
func (l *link) Do(r *http.Request) (*http.Response, error) {
	if l.isClosed() {
		return nil, errClosed
	}
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return l.http.Do(r)
}

func (l *link) isClosed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if l.socket != "" {
		network, address = "unix", l.socket
	}
	d := net.Dialer{Timeout: dialTimeout}
	inner, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, &awayError{where: l.where, socket: l.socket != "", err: err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		inner.Close()
		return nil, errClosed
	}
	c := &conn{Conn: inner, link: l}
	l.conns[c] = struct{}{}
	return c, nil
}

func (l *link) close() {
	l.mu.Lock()
	if !l.isClosed() {
		close(l.done)
	}
	for c := range l.conns {
		c.Conn.Close()
	}
	l.mu.Unlock()
	if l.own != nil {
		l.own.CloseIdleConnections()
	}
}

// conn is a connection that close knows of.
type conn struct {
	net.Conn
	link *link
}

// Close closes the connection and forgets it.
func (c *conn) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}
