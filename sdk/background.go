package sdk

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// background are the goroutines that a provider runs beside its calls.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex
	over bool
	all  sync.WaitGroup
}

func newBackground() *background {
	b := &background{}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// run begins f, unless the plugin drains already. An Env that no Configure gave has no
// background: then f has no way to end, and that is a mistake in the program.
func (b *background) run(env Env, f func(context.Context)) {
	if b == nil {
		panic("sdk: Env.Go is for the Env that Open is given")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.all.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				env.Logger.Error("a goroutine of the provider panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				if env.crash != nil {
					env.crash()
				}
			}
		}()
		f(b.ctx)
	})
}

// end tells all to end, and waits for them until ctx is done.
func (b *background) end(ctx context.Context) error {
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.cancel()
	done := make(chan struct{})
	go func() { b.all.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &provider.Error{Class: provider.Canceled, Op: "drain", Err: ctx.Err(),
			Message: "goroutines of the provider did not end when they were told"}
	}
}
