package docker

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"
)

// maxIdleConns is how many connections are kept open between calls, so that a burst
// of creates dials once and not for each call.
const maxIdleConns = 64

// daemon is the connection to one Docker daemon. It connects with the first call, and
// again whenever a connection was lost.
type daemon struct {
	dials atomic.Uint64 // connections ever made
	conn  atomic.Pointer[conn]

	mu   sync.Mutex
	info *knownInfo // what the daemon last told of itself
}

// conn is a client with the transport under it.
type conn struct {
	*client.Client
	transport *http.Transport
}

// knownInfo holds while no connection was made since: another connection may lead to
// another daemon.
type knownInfo struct {
	system.Info
	dials uint64
}

// newDaemon reads the environment. It fails only where that makes no sense.
func newDaemon() (*daemon, error) {
	d := &daemon{}
	c, err := d.newConn()
	if err != nil {
		return nil, err
	}
	d.conn.Store(c)
	return d, nil
}

// newConn makes a client whose API version is yet to be negotiated.
func (d *daemon) newConn() (*conn, error) {
	transport := &http.Transport{
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     5 * time.Minute,
	}
	if dir := os.Getenv(client.EnvOverrideCertPath); dir != "" {
		conf, err := tlsconfig.Client(tlsconfig.Options{
			CAFile:             filepath.Join(dir, "ca.pem"),
			CertFile:           filepath.Join(dir, "cert.pem"),
			KeyFile:            filepath.Join(dir, "key.pem"),
			InsecureSkipVerify: os.Getenv(client.EnvTLSVerify) == "",
		})
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = conf
	}
	web := &http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}
	api, err := client.NewClientWithOpts(
		client.WithHTTPClient(web),
		client.WithHost(hostFromEnv()),
		client.WithVersionFromEnv(),
		client.WithAPIVersionNegotiation(),
	)
	if err != nil {
		return nil, err
	}
	// WithHost has put a dialer into the transport; count what it dials.
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err == nil {
			d.dials.Add(1)
		}
		return c, err
	}
	// The client has put spans for each request around the transport. The provider's own
	// are enough.
	web.Transport = announcer{transport}
	return &conn{Client: api, transport: transport}, nil
}

// client returns the client for one call.
func (d *daemon) client() *client.Client { return d.conn.Load().Client }

// renegotiate forgets the API version that was agreed on. It is for a daemon that was
// replaced by another version under the same address.
func (d *daemon) renegotiate() {
	fresh, err := d.newConn()
	if err != nil {
		return // the environment is what it was; the old client goes on
	}
	d.conn.Swap(fresh).transport.CloseIdleConnections()
}

// hostFromEnv is where the daemon is.
func hostFromEnv() string {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return host
	}
	return client.DefaultDockerHost
}

// askInfo asks the daemon about itself and keeps the answer.
func (d *daemon) askInfo(ctx context.Context) (system.Info, error) {
	before := d.dials.Load()
	info, err := d.client().Info(ctx)
	if err != nil {
		return system.Info{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.info = &knownInfo{Info: info, dials: before}
	return info, nil
}

// knownInfo returns what the daemon told on the connections that there are now, and
// asks when one was made since.
func (d *daemon) knownInfo(ctx context.Context) (system.Info, error) {
	d.mu.Lock()
	known := d.info
	d.mu.Unlock()
	if known != nil && known.dials == d.dials.Load() {
		return known.Info, nil
	}
	before := d.dials.Load()
	info, err := d.askInfo(ctx)
	if err == nil && d.dials.Load() != before {
		// The call made the connection that it came on: one more answer, on a
		// connection that was there before it, is good to keep.
		return d.askInfo(ctx)
	}
	return info, err
}

// close lets go of idle connections.
func (d *daemon) close() { d.conn.Load().transport.CloseIdleConnections() }
