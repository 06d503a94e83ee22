package supervisor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestIdempotentVerbsAreTriedOnceMore(t *testing.T) {
	ctx := context.Background()
	verbs := map[mem.Verb]func(b *bench) error{
		mem.Prepare: func(b *bench) error { _, err := b.Prepare(ctx, provider.PrepareRequest{Image: "agent"}); return err },
		mem.Get:     func(b *bench) error { _, err := b.Get(ctx, provider.Ref{ID: "box"}); return err },
		mem.Stop: func(b *bench) error {
			_, err := b.Stop(ctx, provider.StopRequest{ID: "gone", Grace: time.Second})
			return err
		},
		mem.Delete: func(b *bench) error { _, err := b.Delete(ctx, provider.DeleteRequest{ID: "gone"}); return err },
		mem.List: func(b *bench) error {
			_, err := b.List(ctx, func(provider.Sandbox) error { return nil })
			return err
		},
	}
	for verb, call := range verbs {
		t.Run(string(verb), func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
				// The engine's own reconcile must not use up the faults.
				b.engine.reconcile = func(context.Context, provider.Provider) error { return nil }
				b.run()
				b.ready()
				answer := b.callAndDie(verb, func() error { return call(b) })
				if err := <-answer; err != nil {
					t.Errorf("after one death: %v", err)
				}
				if n := b.backend.Calls(verb); n != 2 {
					t.Errorf("called %d times", n)
				}

				b.ready()
				answer = b.callAndDie(verb, func() error { return call(b) })
				b.backend.Fail(verb, mem.Fault{Times: 1, Hang: true})
				if err := b.backend.AwaitCalls(ctx, verb, 4); err != nil {
					t.Fatal(err)
				}
				b.die() // under the second try too
				wantUnavailable(t, <-answer, "ended during the call")
				b.ready()
				if n := b.backend.Calls(verb); n != 4 {
					t.Errorf("called %d times: once more only", n)
				}
			})
		})
	}
}

// callAndDie lets a call hang in the plugin, and ends the plugin's life under it.
func (b *bench) callAndDie(verb mem.Verb, call func() error) <-chan error {
	b.t.Helper()
	b.backend.Fail(verb, mem.Fault{Times: 1, Hang: true})
	answer := make(chan error, 1)
	go func() { answer <- call() }()
	synctest.Wait()
	select {
	case err := <-answer:
		b.t.Fatalf("it did not hang: %v", err)
	default:
	}
	b.launcher.last().die("exit status 7")
	return answer
}

func TestCreateIsNeverTriedAgain(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		begun := time.Now()
		answer := b.callAndDie(mem.Create, func() error {
			_, err := b.Create(context.Background(), spec("6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a1"))
			return err
		})
		wantUnavailable(t, <-answer, "ended during the call", "generation 1", "exit status 7")
		if took := time.Since(begun); took != 0 {
			t.Errorf("it failed after %s, not at once", took)
		}
		b.ready()
		b.pass(time.Minute)
		if n := b.backend.Calls(mem.Create); n != 1 {
			t.Errorf("created %d times", n)
		}
		if b.observer.rpc("create unavailable") != 1 {
			t.Errorf("rpcs: %v", b.observer.rpcs)
		}
	})
}

func TestARetryEndsWithTheCallersDeadline(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		b.backend.Fail(mem.Info, mem.Fault{Hang: true}) // no next generation in time
		for deadline, want := range map[time.Duration]time.Duration{
			700 * time.Millisecond: 700 * time.Millisecond,
		} {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			begun := time.Now()
			answer := b.callAndDie(mem.Get, func() error {
				_, err := b.Get(ctx, provider.Ref{ID: "x"})
				return err
			})
			wantUnavailable(t, <-answer, "ended during the call")
			if took := time.Since(begun); took != want {
				t.Errorf("after %s, want %s", took, want)
			}
			cancel()
		}
		begun := time.Now()
		_, err := b.Get(t.Context(), provider.Ref{ID: "x"}) // while there is none
		wantUnavailable(t, err)
		if took := time.Since(begun); took != 0 {
			t.Errorf("a call without a generation took %s", took)
		}
	})
}

func TestAListThatYieldedIsNotMadeAgain(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
		b.engine.reconcile = func(context.Context, provider.Provider) error { return nil }
		b.run()
		b.ready()
		begun := time.Now()
		seen := 0
		_, err := b.List(t.Context(), func(provider.Sandbox) error {
			seen++
			b.die()
			return &provider.Error{Class: provider.Unavailable, Op: "list", Message: "the stream broke"}
		})
		wantUnavailable(t, err)
		if took := time.Since(begun); seen != 1 || took != 0 || b.backend.Calls(mem.List) != 1 {
			t.Errorf("seen %d times in %s, %d lists", seen, took, b.backend.Calls(mem.List))
		}
	})
}

func TestHungPluginFreesItsCalls(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		b.backend.Fail(mem.Create, mem.Fault{Times: 1, Hang: true})
		b.launcher.last().hung.Store(true)
		begun := time.Now()
		_, err := b.Create(context.Background(), spec("6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a1"))
		wantUnavailable(t, err, "hung")
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("it waited %s", took)
		}
	})
}

func TestEventsReachTheEngineAndABreakIsTold(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.reconcile = func(context.Context, provider.Provider) error {
			if b.backend.Streams() != 1 {
				t.Errorf("%d streams while reconciling: nothing may fall between the two", b.backend.Streams())
			}
			return nil
		}
		b.run()
		b.ready()
		id := b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
		b.backend.Exit(id, 1, false)
		synctest.Wait()
		b.engine.with(func() {
			if n := len(b.engine.events); n == 0 || b.engine.events[n-1].Kind != provider.EventExited {
				t.Errorf("events: %v", b.engine.events)
			}
			if b.engine.broken != 0 {
				t.Error("told of a break that was none")
			}
		})
		b.backend.BreakEvents()
		synctest.Wait()
		b.engine.with(func() {
			if b.engine.broken != 1 {
				t.Errorf("told of %d breaks", b.engine.broken)
			}
		})
		b.pass(time.Second)
		if b.backend.Streams() != 1 {
			t.Error("not opened again")
		}
		b.engine.with(func() {
			if b.engine.broken != 2 { // what came between is missing
				t.Errorf("told %d times", b.engine.broken)
			}
		})
		calls := b.backend.Calls(mem.Events)
		b.backend.Fail(mem.Events, mem.Fault{Err: provider.Unavailable})
		b.backend.BreakEvents()
		b.pass(10 * time.Minute)
		if n := b.backend.Calls(mem.Events) - calls; n < 60 || n > 300 {
			t.Errorf("%d tries in 10 minutes", n)
		}
		if len(b.launcher.launches()) != 1 {
			t.Error("restarted for it")
		}
		b.backend.Clear()
		b.pass(11 * time.Second)
		if b.backend.Streams() != 1 {
			t.Error("not opened again")
		}
		b.die()
		b.pass(time.Second)
		if n := b.backend.Streams(); n != 1 {
			t.Errorf("%d streams: one per generation", n)
		}
	})
}
