package supervisor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// eventStream is what a generation knows of its stream of events.
type eventStream struct {
	mu      sync.Mutex
	sought  bool          // a reconcile has begun: what came before the stream may be missing
	settled chan struct{} // closed when the first try to open it came to something
	once    *sync.Once
}

func newEventStream() eventStream {
	return eventStream{settled: make(chan struct{}), once: new(sync.Once)}
}

func (e *eventStream) settle() { e.once.Do(func() { close(e.settled) }) }

// awaitFirst waits a little for the first stream. After it a reconcile begins.
func (e *eventStream) awaitFirst(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, eventsFirst)
	defer cancel()
	select {
	case <-e.settled:
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sought = true
}

func (e *eventStream) mayMiss() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sought
}

// streamEvents passes the provider's events to the engine, as long as the generation
// lives. Events may be missing when a stream broke, and once more when the next one
// stands: the engine is told both times.
func (g *generation) streamEvents() {
	defer g.events.settle()
	source, ok := g.prov.(provider.EventSource)
	if !ok || !slices.Contains(g.caps, provider.CapabilityEvents) {
		return
	}
	wait := backoff{first: backoffFirst, most: eventsMax}
	for {
		var stood atomic.Bool
		begun := time.Now()
		ready := func() {
			stood.Store(true)
			if g.events.mayMiss() {
				g.s.engine.EventsBroken(g.s.opts.Name)
			}
			g.events.settle()
		}
		err := source.Events(g.work, ready, func(ev provider.Event) error {
			if g.work.Err() != nil {
				return g.work.Err()
			}
			if !g.s.Status().Changed {
				g.s.engine.SandboxEvent(g.s.opts.Name, ev)
			}
			return nil
		})
		g.events.settle()
		if g.work.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended without a reason")
		}
		if time.Since(begun) >= eventsMax {
			wait.reset()
		}
		if stood.Load() {
			g.s.engine.EventsBroken(g.s.opts.Name)
		}
		pause := wait.next()
		g.s.log.Debug("the plugin's events broke", "generation", g.num.Load(), "err", err, "next_try_in", pause)
		if !sleep(g.work, pause) {
			return
		}
	}
}
