package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// unknownAfter is how long a provider may be away before its sessions show as unknown.
const unknownAfter = 5 * time.Second

// backend is what the engine keeps beside a Backend.
type backend struct {
	Backend
	name     string
	started  time.Time
	creating *slots
	reaping  *slots
	forget   context.CancelFunc // ends what looks after it; nil until that has begun
	kick     chan struct{}      // sweep soon
	changed  chan struct{}      // its status has changed

	mu      sync.Mutex
	orphans map[string]orphan   // by sandbox id
	seen    map[string]struct{} // sandboxes that were counted as foreign or unreadable, or told as lost
}

func newBackend(name string, b Backend, l Limits, started time.Time) *backend {
	return &backend{
		Backend: b, name: name, started: started,
		creating: newSlots(l.MaxCreating),
		reaping:  newSlots(l.MaxReaping),
		kick:     make(chan struct{}, 1),
		changed:  make(chan struct{}, 1),
		orphans:  map[string]orphan{},
		seen:     map[string]struct{}{},
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// reachable reports whether it makes sense to ask it for anything but a create.
func (s BackendStatus) reachable() bool {
	return s.State == Ready || s.State == Degraded && !s.Changed
}

// awaySince tells since when it is not READY; zero when it is.
func (b *backend) awaySince(st BackendStatus) time.Time {
	if st.State == Ready {
		return time.Time{}
	}
	if st.ReadyUntil.IsZero() {
		return b.started
	}
	return st.ReadyUntil
}

// unknown reports whether a session with this record can't be asked about now.
func (b *backend) unknown(rec lease.Record, now time.Time) bool {
	if b == nil {
		return true
	}
	st := b.Status()
	if st.Changed && rec.Identity != st.Identity {
		return true
	}
	away := b.awaySince(st)
	return !away.IsZero() && now.Sub(away) >= unknownAfter
}

// notReady is the error for a verb that needs a READY provider.
func (b *backend) notReady(op string) *Error {
	st := b.Status()
	cause := st.Err
	if cause == nil {
		cause = fmt.Errorf("its plugin is %s", st.State)
	}
	return &Error{Code: CodeUnavailable, Op: op, Message: fmt.Sprintf("provider %q is not ready", b.name), Err: cause}
}

func isNotFound(err error) bool { return provider.ClassOf(err) == provider.NotFound }
