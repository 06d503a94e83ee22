package docker

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// pulls lets callers that want the same image share one pull. The zero value is ready.
type pulls struct {
	mu    sync.Mutex
	going map[string]*pulling  // by the image's name
	begun map[string]time.Time // when the last pull that succeeded began
}

// pulling is a pull that goes on. It ends early when all that wait for it have left.
type pulling struct {
	begun   time.Time
	waiters int
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // set before done is closed
}

// share waits for a pull of an image: one that goes on, or one that has begun after since
// and succeeded meanwhile, or else one that it begins. A pull has the values of the context
// of whoever began it, not its end: ctx bounds only the caller's own wait.
func (s *pulls) share(ctx context.Context, image string, since time.Time, pull func(context.Context) error) error {
	s.mu.Lock()
	p := s.going[image]
	if p == nil {
		if begun, ok := s.begun[image]; ok && !begun.Before(since) {
			s.mu.Unlock()
			return nil
		}
		p = s.begin(ctx, image, pull)
	}
	p.waiters++
	s.mu.Unlock()

	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	p.waiters--
	last := p.waiters == 0
	if last {
		p.cancel()
		s.forget(image, p) // who comes now begins another
	}
	s.mu.Unlock()
	if last {
		<-p.done
	}
	return fmt.Errorf("the pull of image %q was not over in time: %w", image, ctx.Err())
}

// begin starts a pull. s.mu is held.
func (s *pulls) begin(ctx context.Context, image string, pull func(context.Context) error) *pulling {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &pulling{begun: time.Now(), cancel: cancel, done: make(chan struct{})}
	if s.going == nil {
		s.going = make(map[string]*pulling)
	}
	s.going[image] = p
	go func() { // whoever leaves it last waits for it
		defer cancel()
		err := pull(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(image, p)
		if err == nil {
			if s.begun == nil || len(s.begun) >= maxPins {
				s.begun = make(map[string]time.Time)
			}
			s.begun[image] = p.begun
		}
		p.err = err
		close(p.done)
	}()
	return p
}

// forget takes a pull out of those that go on. s.mu is held.
func (s *pulls) forget(image string, p *pulling) {
	if s.going[image] == p {
		delete(s.going, image)
	}
}
