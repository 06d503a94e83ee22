//go:build linux

package process

import (
	"sync"
	"time"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
)

// idleFor is how long a blank waits for a create.
const idleFor = 5 * time.Minute

// ahead keeps one blank for the next create, of the kind of the last one. What it hands out
// is the caller's, and used once.
type ahead struct {
	start func(stage.Blank) (*blank, error)
	idle  time.Duration
	all   sync.WaitGroup // what is being started or ended

	mu       sync.Mutex
	closed   bool
	starting bool
	ready    *blank
	timer    *time.Timer // of ready
}

// take hands out the blank when it is of that kind and lives, else nil.
func (a *ahead) take(kind stage.Blank) *blank {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.ready
	if b == nil || !b.kind.Same(kind) {
		return nil
	}
	a.forget()
	if !b.alive() {
		a.all.Go(b.end)
		return nil
	}
	return b
}

// refill starts a blank beside the caller, unless there is one.
func (a *ahead) refill(kind stage.Blank) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.starting {
		return
	}
	if a.ready != nil {
		if a.ready.alive() {
			return
		}
		a.all.Go(a.ready.end)
		a.forget()
	}
	a.starting = true
	a.all.Go(func() {
		b, err := a.start(kind)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.starting = false
		switch {
		case err != nil: // the next create will tell
		case a.closed:
			a.all.Go(b.end)
		default:
			a.ready, a.timer = b, time.AfterFunc(a.idle, func() { a.expire(b) })
		}
	})
}

// expire ends a blank that nobody has taken.
func (a *ahead) expire(b *blank) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ready == b {
		a.all.Go(b.end)
		a.forget()
	}
}

// forget must be called under the lock.
func (a *ahead) forget() {
	a.timer.Stop()
	a.ready, a.timer = nil, nil
}

// close ends what is ready and starts nothing more. It returns when all is gone.
func (a *ahead) close() {
	a.mu.Lock()
	a.closed = true
	if a.ready != nil {
		a.all.Go(a.ready.end)
		a.forget()
	}
	a.mu.Unlock()
	a.all.Wait()
}
