package supervisor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestStartErrorBacksOffWithJitterAndIsNeverFinal(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.launcher.setFail(errors.New("no such file"))
		b.run()
		b.pass(10 * time.Minute)
		b.wantState(lifecycle.Backoff)
		at := b.launcher.launches()
		if len(at) < 20 {
			t.Fatalf("%d tries in 10 minutes", len(at))
		}
		spread := map[time.Duration]bool{}
		for i := 1; i < len(at); i++ {
			limit := 30 * time.Second
			if i <= 8 {
				limit = min(limit, 200*time.Millisecond<<(i-1))
			}
			pause := at[i].Sub(at[i-1])
			if pause <= 0 || pause > limit {
				t.Errorf("pause %d is %s, of at most %s", i, pause, limit)
			}
			spread[pause] = true
		}
		if len(spread) < (len(at)-1)/2 {
			t.Errorf("no jitter: %d different pauses of %d", len(spread), len(at)-1)
		}
		if r := b.Report(); r.Reason != "no such file" || r.Restarts != len(at)-1 || r.Generation != 0 {
			t.Errorf("report: %+v", r)
		}
		_, err := b.Get(t.Context(), provider.Ref{ID: "x"})
		wantUnavailable(t, err, "no such file", "mock")

		b.launcher.setFail(nil) // it is never too late
		b.ready()
	})
}

func TestDeathRestartsAtOnceTheFirstTimeThenBacksOff(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		for n := range 8 {
			died := time.Now()
			b.die()
			b.ready()
			at := b.launcher.launches()
			pause := at[len(at)-1].Sub(died)
			if n == 0 && pause != 0 {
				t.Errorf("the first restart came after %s", pause)
			}
			if limit := 200 * time.Millisecond << max(0, n-1); n > 0 && (pause <= 0 || pause > limit) {
				t.Errorf("restart %d came after %s, of at most %s", n+1, pause, limit)
			}
		}
		if got := b.Status().Generation; got != 9 {
			t.Errorf("generation %d", got)
		}
		if got := b.observer.reasons(); len(got) != 8 || slices.ContainsFunc(got, func(s string) bool { return s != "died" }) {
			t.Errorf("restarts: %v", got)
		}
	})
}

func TestAMinuteReadyForgetsFailures(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		restart := func() time.Duration {
			died := time.Now()
			b.die()
			b.ready()
			at := b.launcher.launches()
			return at[len(at)-1].Sub(died)
		}
		if restart() != 0 || restart() == 0 {
			t.Fatal("at once the first time only")
		}
		b.pass(55 * time.Second)
		if restart() == 0 {
			t.Error("forgotten before 60 s")
		}
		b.pass(63 * time.Second)
		if pause := restart(); pause != 0 {
			t.Errorf("after a minute READY the restart came after %s", pause)
		}
	})
}

func TestThreeMissedPingsKill(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		first := b.launcher.last()
		first.hung.Store(true)
		b.pass(1900 * time.Millisecond) // one miss, and one that is under way
		first.hung.Store(false)
		b.pass(10 * time.Second)
		if first.killed.Load() {
			t.Fatal("killed after two misses")
		}
		first.hung.Store(true)
		hung := time.Now()
		<-first.Done()
		if took := time.Since(hung); took > 4*time.Second || took < 2*time.Second {
			t.Errorf("killed after %s", took)
		}
		b.pass(0)
		if !first.killed.Load() {
			t.Error("not killed")
		}
		b.ready()
		if b.launcher.last() == first || b.Status().Generation != 2 {
			t.Error("not replaced")
		}
		if got := b.observer.reasons(); !slices.Equal(got, []string{"hung"}) {
			t.Errorf("restarts: %v", got)
		}
		if !slices.ContainsFunc(b.engine.statuses, func(st lifecycle.BackendStatus) bool {
			return st.Err != nil && strings.Contains(st.Err.Error(), "3 pings in a row")
		}) {
			t.Error("nobody was told that it hung")
		}
	})
}

func TestAPluginThatHangsInItsStartIsReplaced(t *testing.T) {
	for _, verb := range []mem.Verb{mem.Info, mem.Schemas, mem.Validate, mem.Configure} {
		t.Run(string(verb), func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.backend.Fail(verb, mem.Fault{Times: 1, Hang: true})
				b.run()
				b.pass(16 * time.Second)
				b.ready()
				if got := b.observer.reasons(); !slices.Equal(got, []string{"start_failed"}) {
					t.Errorf("restarts: %v", got)
				}
				if !slices.ContainsFunc(b.engine.statuses, func(st lifecycle.BackendStatus) bool {
					return st.State == lifecycle.Backoff && strings.Contains(st.Err.Error(), "no answer within")
				}) {
					t.Error("nobody was told why")
				}
			})
		})
	}
}

func TestMisconfiguredStaysUntilTheBinaryChanges(t *testing.T) {
	bubble(t, settings{config: `{"reject":"no such colour"}`}, func(t *testing.T, b *bench) {
		b.launcher.print.Store("old")
		b.run()
		b.pass(time.Hour)
		b.wantState(lifecycle.Misconfigured)
		if n := len(b.launcher.launches()); n != 1 {
			t.Errorf("%d launches of a refused configuration", n)
		}
		if r := b.Report(); r.Reason != "config.hcl:3: no such colour" {
			t.Errorf("reason %q", r.Reason)
		}
		if !b.launcher.last().killed.Load() {
			t.Error("the refused plugin still runs")
		}
		_, err := b.Create(t.Context(), spec("s"))
		wantUnavailable(t, err, "no such colour")

		b.launcher.print.Store("new")
		b.pass(5 * time.Second)
		if n := len(b.launcher.launches()); n != 2 {
			t.Errorf("%d launches after the binary changed", n)
		}
		b.wantState(lifecycle.Misconfigured)
		if got := b.observer.reasons(); !slices.Equal(got, []string{"changed"}) {
			t.Errorf("restarts: %v", got)
		}
	})
}

func TestWhatRefusesAConfiguration(t *testing.T) {
	bubble(t, settings{bindErr: errors.New("config.hcl:9: unknown name")}, func(t *testing.T, b *bench) {
		b.run()
		b.pass(time.Minute)
		b.wantState(lifecycle.Misconfigured)
		if b.backend.Calls(mem.Validate) != 0 {
			t.Error("validated what could not be decoded")
		}
	})
	for class, want := range map[provider.Class]lifecycle.BackendState{
		provider.InvalidArgument: lifecycle.Misconfigured,
		provider.Unsupported:     lifecycle.Misconfigured,
		provider.Internal:        lifecycle.Backoff,
		provider.Unavailable:     lifecycle.Backoff,
	} {
		bubble(t, settings{}, func(t *testing.T, b *bench) {
			b.backend.Fail(mem.Configure, mem.Fault{Err: &provider.Error{Class: class, Op: "configure", Message: "no"}})
			b.run()
			b.pass(time.Minute)
			if st := b.Status(); st.State != want {
				t.Errorf("%s from Configure: %s, want %s", class, st.State, want)
			}
		})
	}
}

func TestTheEndIsGraceful(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		b.backend.Fail(mem.Get, mem.Fault{Times: 1, Delay: 2 * time.Second})
		b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
		answer := make(chan error, 1)
		go func() {
			_, err := b.Get(context.Background(), provider.Ref{ID: "box"})
			answer <- err
		}()
		synctest.Wait()
		b.end()
		synctest.Wait()
		_, err := b.Create(t.Context(), spec("late"))
		wantUnavailable(t, err, "stopping")
		if err := <-answer; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		b.stop()
		last := b.launcher.last()
		if last.killed.Load() || !last.drained.Load() {
			t.Error("it was not drained, or was killed")
		}
		if len(b.backend.Sandboxes()) != 1 {
			t.Error("sandboxes do not stay")
		}
		wantUnavailable(t, b.WaitReady(t.Context()), "stopping")
		if up := b.observer.up; !slices.Equal(up, []bool{true, false}) {
			t.Errorf("plugin up: %v", up)
		}
	})
}
