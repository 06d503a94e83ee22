package lifecycle

import (
	"context"
	"time"
)

// BackendChanged is told of a provider's new status. It returns at once.
func (e *Engine) BackendChanged(providerName string, _ BackendStatus) {
	if b := e.backend(providerName); b != nil {
		poke(b.changed)
	}
}

// follow looks after one provider's status: it tells the watchers when its sessions
// become unknown and when they are known again, and wakes what waits for it once it is
// back. It never waits for the provider.
func (e *Engine) follow(ctx context.Context, b *backend) {
	unknown := time.NewTimer(max(0, unknownAfter-time.Since(b.started)))
	defer unknown.Stop()
	var seen BackendStatus // when it was READY last
	ready, shown := false, false
	show := func(as bool) {
		if shown != as {
			shown = as
			e.showAgain(b)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-unknown.C:
			if st := b.Status(); st.State != Ready {
				show(time.Since(b.awaySince(st)) >= unknownAfter || st.Changed)
			}
			continue
		case <-b.changed:
		}
		st := b.Status()
		if st.State == Ready {
			show(false)
			if !ready || !st.Since.Equal(seen.Since) {
				if seen.Generation == st.Generation {
					poke(b.kick) // nobody has listed what happened meanwhile
				}
				for _, s := range e.of(b) {
					s.retryAnew()
				}
				e.wake(b)
			}
			ready, seen = true, st
			continue
		}
		ready = false
		if st.Changed {
			show(true)
		}
		unknown.Reset(max(0, time.Until(b.awaySince(st).Add(unknownAfter))))
		if st.reachable() {
			e.wake(b)
		}
	}
}

// showAgain tells the watchers of sessions whose status is shown differently now.
func (e *Engine) showAgain(b *backend) {
	for _, s := range e.of(b) {
		e.hub.publish(EventChanged, func() Session { return e.view(s.record()) }, nil)
	}
}
