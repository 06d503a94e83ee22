package mem

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// stream is one caller of Events. Its fields are guarded by the backend's mu.
type stream struct {
	queue  []provider.Event
	broken string // why it broke; "" while it holds
}

// Events yields what happens to the sandboxes from now on. Changes that another process
// makes in a state file are not told.
func (p *Provider) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	b := p.b
	s := &stream{}
	err := p.verb(ctx, Events, "", func(Fault) error {
		b.streams[s] = struct{}{}
		return nil
	})
	if err != nil {
		b.forget(s)
		return err
	}
	defer b.forget(s)
	ready()
	for {
		b.mu.Lock()
		queue, broken, changed := s.queue, s.broken, b.changed
		s.queue = nil
		b.mu.Unlock()
		for _, ev := range queue {
			if err := yield(ev); err != nil {
				return err
			}
		}
		switch {
		case len(queue) > 0:
			continue
		case broken != "":
			return fail(provider.Unavailable, Events, "", "%s", broken)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return canceled(ctx, Events, "")
		}
	}
}

// BreakEvents breaks every event stream that is open.
func (b *Backend) BreakEvents() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breakStreams("the event stream broke")
	b.notify()
}

// Streams tells how many event streams are open.
func (b *Backend) Streams() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.streams)
}

// Emit sends a hint that need not be true to every event stream.
func (b *Backend) Emit(ev provider.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.send(ev)
	b.notify()
}

func (b *Backend) forget(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s)
	b.notify()
}

// The helpers below are called with mu held.

func (b *Backend) breakStreams(why string) {
	for s := range b.streams {
		s.broken = why
	}
}

func (b *Backend) emit(x *box, kind provider.EventKind) {
	b.send(provider.Event{SandboxID: x.Sandbox.ID, SessionID: x.Sandbox.SessionID, Kind: kind, At: now()})
}

func (b *Backend) send(ev provider.Event) {
	for s := range b.streams {
		if s.broken == "" {
			s.queue = append(s.queue, ev)
		}
	}
}
