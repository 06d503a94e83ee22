package records

import (
	"context"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// locks let one call at a time act on a name.
type locks struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	token   chan struct{} // holds one value while nobody has the turn
	waiting int           // calls that have it or wait for it
}

// lock waits for the turn of a name, until ctx is done.
func (l *locks) lock(ctx context.Context, op, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*turn{}
	}
	t := l.held[name]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		t.token <- struct{}{}
		l.held[name] = t
	}
	t.waiting++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(l.held, name)
		}
	}
	if err := ctx.Err(); err != nil {
		leave()
		return nil, &provider.Error{Class: provider.Canceled, Op: op, ID: name, Err: err}
	}
	select {
	case <-t.token:
		return func() { t.token <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, &provider.Error{Class: provider.Canceled, Op: op, ID: name, Err: ctx.Err()}
	}
}
