package supervisor_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestNothingIsCreatedBeforeReconcile(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		hold := make(chan struct{})
		var early error
		b.engine.reconcile = func(ctx context.Context, p provider.Provider) error {
			_, early = p.Create(ctx, spec("s")) // not even by the engine
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		for generation := range 2 {
			if generation == 0 {
				b.run()
			} else {
				hold = make(chan struct{})
				b.die()
			}
			b.pass(10 * time.Second)
			b.wantState(lifecycle.Reconciling)
			_, err := b.Create(t.Context(), spec("s"))
			wantUnavailable(t, err, []string{"reconciling", "generation 1 has died"}[generation])
			wantUnavailable(t, early)
			if b.backend.Calls(mem.Create) != generation {
				t.Fatal("a create reached a generation before its reconcile")
			}
			close(hold)
			b.ready()
			if _, err := b.Create(t.Context(), spec("6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a1")); err != nil {
				t.Error(err)
			}
		}
		want := []lifecycle.BackendState{lifecycle.Starting, lifecycle.Reconciling, lifecycle.Ready,
			lifecycle.Starting, lifecycle.Reconciling, lifecycle.Ready}
		if got := b.engine.states(); !slices.Equal(got, want) {
			t.Errorf("states %v, want %v", got, want)
		}
	})
}

func TestAChangedBackendStaysRefusedWhenItGoesAndReturns(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.with(func() { b.engine.identities = []string{"A"} })
		b.run()
		b.ready()
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		b.refuses("at once")
		b.backend.SetAvailable(false) // nothing is known then
		b.pass(3 * time.Second)
		if st := b.Status(); st.State != lifecycle.Degraded || !st.Changed {
			t.Errorf("away after a change: %+v", st)
		}
		b.backend.SetAvailable(true)
		b.refuses("on its return, before anybody asked who it is")
		b.backend.SetIdentity("A")
		b.ready()
		if st := b.Status(); st.Changed || st.Identity != "A" {
			t.Errorf("healed: %+v", st)
		}
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		b.refuses("once more")
		b.engine.with(func() { b.engine.identities = nil }) // the last lease of A has ended
		b.ready()
	})
}

// refuses checks that no verb that is about sandboxes reaches the plugin, and that Health
// and Identity do.
func (b *bench) refuses(when string) {
	b.t.Helper()
	ctx := context.Background()
	for verb, f := range map[mem.Verb]func() error{
		mem.Prepare: func() error { _, err := b.Prepare(ctx, provider.PrepareRequest{Image: "i"}); return err },
		mem.Create:  func() error { _, err := b.Create(ctx, spec("s")); return err },
		mem.Get:     func() error { _, err := b.Get(ctx, provider.Ref{ID: "x"}); return err },
		mem.List:    func() error { _, err := b.List(ctx, func(provider.Sandbox) error { return nil }); return err },
		mem.Stop:    func() error { _, err := b.Stop(ctx, provider.StopRequest{ID: "x"}); return err },
		mem.Delete:  func() error { _, err := b.Delete(ctx, provider.DeleteRequest{ID: "x"}); return err },
		mem.Logs: func() error {
			return b.Logs(ctx, provider.LogsRequest{ID: "x"}, func(provider.LogChunk) error { return nil })
		},
	} {
		calls := b.backend.Calls(verb)
		if err := f(); provider.ClassOf(err) != provider.Unavailable {
			b.t.Errorf("%s: %s: %v", when, verb, err)
		}
		if b.backend.Calls(verb) != calls {
			b.t.Errorf("%s: %s reached the plugin", when, verb)
		}
	}
	if _, err := b.Health(ctx); err != nil {
		b.t.Errorf("%s: health: %v", when, err)
	}
	if _, err := b.Identity(ctx); err != nil {
		b.t.Errorf("%s: identity: %v", when, err)
	}
}

func TestWaitReady(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.backend.SetAvailable(false)
		b.run()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		wantUnavailable(t, b.WaitReady(ctx), "mock", "does not answer")
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("it waited %s of 10s", took)
		}
		woken := make(chan error, 1)
		go func() { woken <- b.WaitReady(context.Background()) }()
		synctest.Wait()
		b.backend.SetAvailable(true)
		if err := <-woken; err != nil {
			t.Error(err)
		}
		b.backend.SetAvailable(false)
		b.pass(3 * time.Second)
		go func() { woken <- b.WaitReady(context.Background()) }()
		synctest.Wait()
		b.stop()
		wantUnavailable(t, <-woken, "stop") // nobody waits for ever
	})
}
