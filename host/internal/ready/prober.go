// Package ready asks a sandbox's endpoint whether the agent answers.
package ready

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
)

// The steps between tries: at once, then from a millisecond on, each half as long again.
const (
	firstStep = time.Millisecond
	lastStep  = 100 * time.Millisecond
	tryFor    = 2 * time.Second // a try that hears nothing, such as a connection that is dropped
	bodyBytes = 64 << 10
)

// Prober implements lifecycle.Prober. The zero value works.
type Prober struct{}

var _ lifecycle.Prober = Prober{}

// Probe returns nil once the endpoint answers as ready asks. When ctx is done it returns
// the last failure. Neither TCP nor HTTP asked for: nil at once.
func (Prober) Probe(ctx context.Context, endpoint lease.Endpoint, ready lease.Ready) error {
	address := net.JoinHostPort(endpoint.IP, strconv.Itoa(endpoint.Port))
	try := connect
	switch {
	case ready.HTTP != "":
		try = func(ctx context.Context, address string) error { return get(ctx, address, ready.HTTP) }
	case !ready.TCP:
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for step := firstStep; ; step = min(step+step/2, lastStep) {
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("%s: %w", address, last)
		case <-timer.C:
		}
		one, cancel := context.WithTimeout(ctx, tryFor)
		err := try(one, address)
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
	return c.Close()
}

// get wants a 2xx. It follows no redirect, uses no proxy, and takes a fresh connection.
func get(ctx context.Context, address, path string) error {
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: bodyBytes}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, bodyBytes)); err != nil && res.StatusCode/100 == 2 {
		return plain(err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("GET %s answers %s", path, res.Status)
	}
	return nil
}

// plain drops the addresses that a network error repeats.
func plain(err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer")
	}
	return err
}
