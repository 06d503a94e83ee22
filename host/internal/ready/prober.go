// Package ready asks a sandbox's endpoint whether the agent answers.
package ready

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// The steps between tries: at once, then from a millisecond on, each half as long again.
const (
	firstStep = time.Millisecond
	lastStep  = 100 * time.Millisecond
)

// How long one try waits for an answer: a packet that was dropped must not eat all the
// time, and an agent that is slow to answer must get its chance. It doubles each time.
const (
	firstTry = time.Second
	lastTry  = 8 * time.Second
)

// hangUp is how long a connection to this machine must stay open. A published port is
// served by a proxy here, which accepts before the agent does, and hangs up at once when
// it can't reach it.
const hangUp = 25 * time.Millisecond

// headerBytes bounds what an agent may say before its body, which is not read.
const headerBytes = 64 << 10

// Prober implements lifecycle.Prober. The zero value works.
type Prober struct{}

var _ lifecycle.Prober = Prober{}

// Probe returns nil once the endpoint answers as ready asks: HTTP by a 2xx, TCP by an
// accepted connection, which on a loopback address also has to stay open for a moment.
// When ctx is done it returns the last failure; ready.Timeout is the caller's to apply.
// Neither TCP nor HTTP asked for: nil at once. A path that is none is InvalidArgument.
func (Prober) Probe(ctx context.Context, endpoint lease.Endpoint, ready lease.Ready) error {
	address := net.JoinHostPort(endpoint.IP, strconv.Itoa(endpoint.Port))
	var try func(context.Context) error
	switch {
	case ready.HTTP != "":
		target, err := target(address, ready.HTTP)
		if err != nil {
			return err
		}
		try = func(ctx context.Context) error { return get(ctx, target) }
	case ready.TCP:
		try = func(ctx context.Context) error { return connect(ctx, address) }
	default:
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	limit := firstTry
	for step := firstStep; ; step = min(step+step/2, lastStep) {
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("%s: %w", address, last)
		case <-timer.C:
		}
		one, cancel := context.WithTimeout(ctx, limit)
		err := try(one)
		if one.Err() != nil {
			limit = min(2*limit, lastTry)
		}
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // not the one that ctx's end has cut short
		}
		timer.Reset(step)
	}
}

func connect(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return plain(err)
	}
	defer c.Close()
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); !ok || !peer.IP.IsLoopback() {
		return nil
	}
	if err := c.SetReadDeadline(time.Now().Add(hangUp)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("accepted, and closed at once: %w", plain(err))
}

// target is the URL of a path, which may have a query, at an address.
func target(address, path string) (*url.URL, error) {
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, &provider.Error{Class: provider.InvalidArgument, Message: fmt.Sprintf("ready.http: %q is no path; give one that begins with \"/\"", path)}
	}
	u.Scheme, u.User, u.Host = "http", nil, address
	return u, nil
}

// get wants a 2xx. It follows no redirect, uses no proxy, and takes a fresh connection.
func get(ctx context.Context, target *url.URL) error {
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: headerBytes}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	res, err := transport.RoundTrip(req) // which never redirects
	if err != nil {
		return plain(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("GET %s answers HTTP %s", target.RequestURI(), res.Status)
	}
	return nil
}

// plain drops the addresses that a network error repeats.
func plain(err error) error {
	var errno syscall.Errno
	var slow net.Error
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return errors.New("no answer")
	}
	return err
}
