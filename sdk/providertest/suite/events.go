package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var eventChecks = []check{
	{name: "events tell of every end",
		promise: "once Events is ready it tells of each sandbox that ends or is removed, by its id, until its caller or its reader has enough", run: checkEvents, needs: claimed(provider.CapabilityEvents)},
}

// events reads events until ctx is done or the stream breaks. It has no other bound.
func (h *handle) events(ctx context.Context, ready func(), yield func(provider.Event) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			h.e.other(promisePanic, "read Events", fmt.Sprintf("a panic: %v", v), "an error")
			err = errBroken
		}
	}()
	s, ok := h.provider().(provider.EventSource)
	if !ok {
		return errNoAbility
	}
	return s.Events(ctx, ready, yield)
}

// watch reads events in the background, where that is claimed; else ended is nil.
func (h *handle) watch() (ended <-chan error, stop func()) {
	if !slices.Contains(h.e.capabilities(), provider.CapabilityEvents) {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(h.e.Context())
	ready, end, over := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		end <- h.events(ctx, sync.OnceFunc(func() { close(ready) }), func(provider.Event) error { return nil })
	}()
	select {
	case <-ready:
	case <-over:
	case <-time.After(h.e.opts.Timeout):
	}
	return end, func() {
		cancel()
		select {
		case <-over:
		case <-time.After(h.e.opts.Soon):
			h.e.other(promiseAnswers, "read Events, and left", fmt.Sprintf("it had not returned after %s", h.e.opts.Soon), "it returns soon after its context is done")
		}
	}
}

// heard keeps the events of a stream.
type heard struct {
	mu     sync.Mutex
	ready  int
	events []provider.Event
}

func (l *heard) of(id string, kind provider.EventKind) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.events, func(ev provider.Event) bool { return ev.SandboxID == id && ev.Kind == kind })
}

func (l *heard) snapshot() (int, []provider.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready, slices.Clone(l.events)
}

func checkEvents(e *env) {
	h := e.host()
	var l heard
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- h.events(ctx, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.ready++
		}, func(ev provider.Event) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events = append(l.events, ev)
			return nil
		})
	}()
	isReady := func() bool { n, _ := l.snapshot(); return n > 0 || len(ended) > 0 }
	if e.eventually(isReady); len(ended) > 0 {
		e.fatal("read Events", "the stream ended: "+errorText(<-ended), "it is ready, and goes on until its caller leaves")
	}
	if n, _ := l.snapshot(); n == 0 {
		e.fatal("read Events", fmt.Sprintf("it was not ready within %s", e.opts.Timeout), "it calls ready when no later event can be missed")
	}
	spec, short := e.spec(), e.spec()
	id, brief := h.made(spec).Sandbox.ID, h.made(short).Sandbox.ID
	h.stopped(spec, id)
	if !e.eventually(func() bool { return l.of(id, provider.EventExited) }) {
		_, all := l.snapshot()
		e.broken("stopped a sandbox while Events were read", fmt.Sprintf("%+v", all), "an event exited with its id")
	}
	h.deleted(spec, id)
	h.deleted(short, brief)
	for _, x := range []string{id, brief} {
		if !e.eventually(func() bool { return l.of(x, provider.EventRemoved) }) {
			_, all := l.snapshot()
			e.broken("deleted a sandbox while Events were read", fmt.Sprintf("%+v", all), "an event removed with its id")
		}
	}
	n, all := l.snapshot()
	if n != 1 {
		e.broken("read Events", fmt.Sprintf("%d calls of ready", n), "one")
	}
	kinds := []provider.EventKind{provider.EventStarted, provider.EventExited, provider.EventRemoved, provider.EventProgress}
	for _, ev := range all {
		if !slices.Contains(kinds, ev.Kind) || ev.Kind != provider.EventProgress && ev.SandboxID == "" {
			e.broken("read Events", fmt.Sprintf("%+v", ev), "a kind of the contract, and the id of a sandbox")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			e.broken("read Events, and left", "nil", "the reason, never nil")
		}
	case <-time.After(e.opts.Soon):
		e.broken("read Events, and left", fmt.Sprintf("it had not returned after %s", e.opts.Soon), "it returns soon after its context is done")
		return
	}
	e.eventReader(h)
}

// eventReader checks that the error of the one who reads events comes back.
func (e *env) eventReader(h *handle) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- h.events(ctx, sync.OnceFunc(func() { close(ready) }), func(provider.Event) error { return errReader })
	}()
	select {
	case <-ready:
	case <-ctx.Done():
	}
	spec := e.spec()
	h.deleted(spec, h.made(spec).Sandbox.ID)
	if err := <-ended; !errors.Is(err, errReader) {
		e.broken("read Events with a reader that fails", errorText(err), "the reader's error")
	}
}
