package docker

import (
	"context"
	"sync"
)

// keyedLock lets one caller at a time work on a key. The zero value is ready.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is a key in use: a token, and how many hold or want it.
type turn struct {
	token chan struct{}
	users int
}

// lock waits for its turn on key, or for ctx. It returns the function that ends the turn.
func (l *keyedLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	t := l.held[key]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		if l.held == nil {
			l.held = make(map[string]*turn)
		}
		l.held[key] = t
	}
	t.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(l.held, key)
		}
	}
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
