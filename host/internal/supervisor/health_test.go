package supervisor_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestHealthMovesReadyAndDegradedAndNeverKills(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		for range 3 {
			b.backend.SetAvailable(false)
			b.pass(3 * time.Second)
			b.wantState(lifecycle.Degraded)
			st := b.Status()
			if st.Err == nil || st.ReadyUntil.IsZero() || time.Since(st.ReadyUntil) > 3*time.Second {
				t.Errorf("status: %+v", st)
			}
			_, err := b.Create(t.Context(), spec("s"))
			wantUnavailable(t, err, st.Err.Error())
			calls := b.backend.Calls(mem.Delete)
			_, err = b.Delete(t.Context(), provider.DeleteRequest{ID: "x"})
			wantUnavailable(t, err)
			if b.backend.Calls(mem.Delete) != calls+1 {
				t.Error("in DEGRADED the other verbs are tried")
			}
			b.pass(10 * time.Minute)
			before := 0
			b.engine.with(func() { before = b.engine.reconciled })
			b.backend.SetAvailable(true)
			b.ready()
			b.engine.with(func() {
				if b.engine.reconciled != before+1 {
					t.Errorf("%d reconciles after the return", b.engine.reconciled-before)
				}
			})
			if st := b.Status(); st.Err != nil || !st.ReadyUntil.IsZero() {
				t.Errorf("READY with %+v", st)
			}
		}
		if n := len(b.launcher.launches()); n != 1 || b.launcher.last().killed.Load() {
			t.Errorf("%d launches: a plugin was killed for its backend", n)
		}
	})
}

func TestHealthThatHangsIsDegraded(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		b.backend.Fail(mem.Health, mem.Fault{Hang: true})
		b.pass(8 * time.Second)
		b.wantState(lifecycle.Degraded)
		if why := b.Report().Reason; !strings.Contains(why, "no answer within 5s") {
			t.Errorf("reason %q", why)
		}
		b.backend.Clear()
		b.ready()
		if len(b.launcher.launches()) != 1 {
			t.Error("killed for its backend")
		}
	})
}

func TestAnotherBackendIsDegradedAndNamed(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.with(func() { b.engine.identities = []string{"A"} })
		b.run()
		b.ready()
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		if b.observer.others != 1 {
			t.Errorf("%d changes were counted, want 1", b.observer.others)
		}
		reconciled := 0
		b.engine.with(func() { reconciled = b.engine.reconciled })
		for _, when := range []string{"at once", "an hour later", "in the next generation"} {
			b.wantState(lifecycle.Degraded)
			st := b.Status()
			if !st.Changed || st.Identity != "B" {
				t.Fatalf("%s: %+v", when, st)
			}
			for _, w := range []string{"backend changed", `"A"`, `"B"`} {
				if !strings.Contains(st.Err.Error(), w) {
					t.Errorf("%s: %v does not say %s", when, st.Err, w)
				}
			}
			b.refuses(when)
			if when == "an hour later" {
				b.die()
			}
			b.pass(time.Hour)
		}
		b.engine.with(func() {
			if b.engine.reconciled != reconciled {
				t.Error("another backend was reconciled")
			}
		})
	})
}

func TestAFailedReconcileIsTriedAgainWithoutARestart(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.reconcile = func(context.Context, provider.Provider) error { return errors.New("the list was cut off") }
		b.run()
		b.pass(5 * time.Minute)
		b.wantState(lifecycle.Degraded)
		b.engine.with(func() {
			if n := b.engine.reconciled; n < 10 || n > 100 {
				t.Errorf("%d reconciles in 5 minutes", n)
			}
			b.engine.reconcile = nil
		})
		if why := b.Report().Reason; why != "the list was cut off" {
			t.Errorf("reason %q", why)
		}
		b.ready()
		if len(b.launcher.launches()) != 1 {
			t.Error("restarted for it")
		}
	})
}

// untold is a provider whose Health does not tell who the backend is.
type untold struct{ *mem.Provider }

func (u untold) Health(ctx context.Context) (provider.Health, error) {
	h, err := u.Provider.Health(ctx)
	h.Identity = ""
	return h, err
}

func TestAHealthWithoutIdentityHidesNoChange(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.launcher.change = func(p *mem.Provider) provider.Provider { return untold{p} }
		b.engine.with(func() { b.engine.identities = []string{"A"} })
		b.run()
		b.ready()
		b.pass(time.Minute)
		if got := b.engine.states(); got[len(got)-1] != lifecycle.Ready || slices.Contains(got, lifecycle.Degraded) {
			t.Errorf("on its own backend: %v", got)
		}
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		if st := b.Status(); st.State != lifecycle.Degraded || !st.Changed || st.Identity != "B" {
			t.Errorf("on another backend: %+v", st)
		}
		b.refuses("after the change")
	})
}

func TestAReconcileThatTheEndCutsOffIsNoWarning(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.reconcile = func(ctx context.Context, _ provider.Provider) error {
			<-ctx.Done()
			return ctx.Err()
		}
		b.run()
		b.pass(time.Second)
		b.wantState(lifecycle.Reconciling)
		b.stop()
		if told := b.journal.atLeast(slog.LevelWarn); len(told) != 0 {
			t.Errorf("warned: %q", told)
		}
	})
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.reconcile = func(context.Context, provider.Provider) error { return errors.New("the list was cut off") }
		b.run()
		b.pass(time.Second)
		if told := b.journal.atLeast(slog.LevelWarn); len(told) == 0 {
			t.Error("nobody was told of a reconcile that failed")
		}
	})
}
