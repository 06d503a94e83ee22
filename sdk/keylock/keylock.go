// Package keylock lets the calls of a provider take turns on a name, so that what one of them
// undoes is not what another has just made.
package keylock

import (
	"context"
	"sync"
)

// Lock lets one caller at a time work on a key. The zero value is ready.
type Lock struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is a key in use: a token, and how many hold or want it.
type turn struct {
	token chan struct{}
	users int
}

// Lock waits for its turn on key, or for ctx, whose error it returns; a ctx that is done gets
// no turn, also when the key is free. unlock ends the turn, and is called once.
func (l *Lock) Lock(ctx context.Context, key string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
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
