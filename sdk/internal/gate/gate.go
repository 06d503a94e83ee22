// Package gate keeps the order in which a plugin's verbs may be called: a provider's
// verbs fail before Configure has succeeded, and from Drain on. Drain waits for the calls
// in flight.
package gate

import (
	"context"
	"errors"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// Wrap puts a gate before p. A plugin that has one is returned as it is.
func Wrap(p provider.Plugin) provider.Plugin {
	if g, ok := p.(*plugin); ok {
		return g
	}
	g := &plugin{inner: p, idle: make(chan struct{})}
	g.streams, g.endStreams = context.WithCancel(context.Background())
	return g
}

type plugin struct {
	inner provider.Plugin

	mu         sync.Mutex
	busy       bool // a Configure is under way
	configured provider.Provider
	draining   bool
	flight     int           // calls under way, Configure included
	drained    chan struct{} // of the plugin behind the gate; nil before it was begun
	drainErr   error         // how that ended; set before drained is closed
	idle       chan struct{} // closed when draining and nothing is in flight

	streams    context.Context // done when Drain is called
	endStreams context.CancelFunc
}

var errDraining = errors.New("the plugin is draining")

func unavailable(op, id, message string, cause error) error {
	return &provider.Error{Class: provider.Unavailable, Op: op, ID: id, Message: message, Err: cause}
}

func (g *plugin) Info(ctx context.Context) (provider.Info, error) { return g.inner.Info(ctx) }

func (g *plugin) Schemas(ctx context.Context) (provider.Schemas, error) { return g.inner.Schemas(ctx) }

func (g *plugin) Validate(ctx context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	return g.inner.Validate(ctx, req)
}

func (g *plugin) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	const op = "configure"
	g.mu.Lock()
	switch {
	case g.draining:
		g.mu.Unlock()
		return provider.Configured{}, unavailable(op, "", "", errDraining)
	case g.busy, g.configured != nil:
		g.mu.Unlock()
		return provider.Configured{}, &provider.Error{Class: provider.Conflict, Op: op,
			Message: "the plugin was configured already: start a new one for other settings"}
	}
	g.busy = true
	g.flight++
	g.mu.Unlock()
	defer g.leave()

	var p provider.Provider
	defer func() { // also when inner panics
		g.mu.Lock()
		defer g.mu.Unlock()
		g.busy, g.configured = false, p
	}()
	answer, err := g.inner.Configure(ctx, req)
	if err != nil {
		return provider.Configured{}, err
	}
	if p = g.inner.Provider(); p == nil {
		return provider.Configured{}, &provider.Error{Class: provider.Internal, Op: op,
			Message: "the plugin has no provider after it was configured"}
	}
	return answer, nil
}

func (g *plugin) Provider() provider.Provider { return (*gated)(g) }

// Drain refuses new calls, ends event and log streams, waits until the calls in flight
// are done or ctx is, and then drains the plugin behind the gate, once.
func (g *plugin) Drain(ctx context.Context) error {
	g.mu.Lock()
	if !g.draining {
		g.draining = true
		g.endStreams()
		if g.flight == 0 {
			close(g.idle)
		}
	}
	flight := g.flight
	g.mu.Unlock()

	select {
	case <-g.idle:
	default:
		select {
		case <-g.idle:
		case <-ctx.Done():
			return &provider.Error{Class: provider.Canceled, Op: "drain", Err: ctx.Err(),
				Message: plural(flight) + " still in flight"}
		}
	}
	return g.drainInner(ctx)
}

// drainInner drains the plugin behind the gate, once; whoever comes later waits for it.
func (g *plugin) drainInner(ctx context.Context) error {
	g.mu.Lock()
	first := g.drained == nil
	if first {
		g.drained = make(chan struct{})
	}
	g.mu.Unlock()
	if first {
		defer close(g.drained) // also when inner panics
		g.drainErr = g.inner.Drain(ctx)
		return g.drainErr
	}
	select {
	case <-g.drained:
		return g.drainErr
	case <-ctx.Done():
		return &provider.Error{Class: provider.Canceled, Op: "drain", Err: ctx.Err(),
			Message: "the plugin is still draining"}
	}
}

// enter lets one call through. leave must be called when it is done.
func (g *plugin) enter(op, id string) (p provider.Provider, leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.draining:
		return nil, nil, unavailable(op, id, "", errDraining)
	case g.configured == nil:
		return nil, nil, unavailable(op, id, "the plugin is not configured yet", nil)
	}
	g.flight++
	return g.configured, g.leave, nil
}

func (g *plugin) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flight--
	if g.draining && g.flight == 0 {
		close(g.idle)
	}
}
