package client

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// Client calls the API of one host. Make one with New; its methods may be called from
// many goroutines at once. It connects when it is first called, and again whenever its
// connection has broken.
type Client struct {
	link         *link
	sessions     controlv1connect.SessionServiceClient
	providers    controlv1connect.ProviderServiceClient
	onDisconnect func(error)
}

// Option changes how a Client reaches its host.
type Option func(*settings)

type settings struct {
	base         string
	http         *http.Client
	onDisconnect func(error)
}

// WithBaseURL is for a host whose API is mounted elsewhere than on a unix socket: url is
// what stands before "/berth.control.v1.SessionService/…", such as
// "https://hosts.example.com/one". The socket that New was given is then not used.
func WithBaseURL(url string) Option { return func(s *settings) { s.base = url } }

// WithHTTPClient makes calls with h, which stays the caller's to close: for TLS with
// certificates or credentials of one's own, beside WithBaseURL. A Timeout in h would end
// every watch; give calls a context instead.
func WithHTTPClient(h *http.Client) Option { return func(s *settings) { s.http = h } }

// WithOnDisconnect sets what Watch tells each time that its stream breaks or can't be had:
// with an *Error, before it waits and tries again. f is called by the goroutine that
// reads the watch.
func WithOnDisconnect(f func(error)) Option { return func(s *settings) { s.onDisconnect = f } }

// New makes a client of the host that serves its API on a unix socket: control.socket of
// its configuration. It starts nothing and can't fail: whether a host answers is seen at
// the first call.
func New(socket string, opts ...Option) *Client {
	s := settings{onDisconnect: func(error) {}}
	for _, o := range opts {
		o(&s)
	}
	var options []connect.ClientOption
	l := &link{socket: socket, where: socket, http: s.http, done: make(chan struct{}), conns: map[*conn]struct{}{}}
	if s.base != "" {
		l.socket, l.where = "", s.base
	} else {
		s.base = "http://berth"                                                    // a name for the socket; it is not looked up
		options = append(options, connect.WithAcceptCompression("gzip", nil, nil)) // costs more than it saves
	}
	if l.http == nil {
		l.own = l.transport()
		l.http = &http.Client{Transport: l.own}
	}
	return &Client{
		link:         l,
		sessions:     controlv1connect.NewSessionServiceClient(l, s.base, options...),
		providers:    controlv1connect.NewProviderServiceClient(l, s.base, options...),
		onDisconnect: s.onDisconnect,
	}
}

// Close closes the connections. Calls under way and later ones fail with
// CodeUnavailable, and watches end. The connections of WithHTTPClient are not the
// client's: calls and watches on them go on until their contexts end. It may be called
// many times.
func (c *Client) Close() { c.link.close() }
