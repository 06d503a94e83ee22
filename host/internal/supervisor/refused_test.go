package supervisor_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// TestARefusedConfigurationWarnsOfNothing: the refusal is one error in the log. That the
// plugin is then killed, undrained, is as it should be.
func TestARefusedConfigurationWarnsOfNothing(t *testing.T) {
	for range 3 { // a race between the process's end and its connection's
		j := &journal{}
		o := place(t)
		o.Logger = slog.New(j)
		s := superviseWith(t, supervisor.Options{Launcher: supervisor.Process(o), Logger: slog.New(j),
			Settings: settings{config: `{"reject":"no such colour"}`}})
		var pid int
		within(t, 30*time.Second, "MISCONFIGURED, and the plugin is gone", func() bool {
			r := s.Report()
			pid = max(pid, r.PID)
			return r.State == lifecycle.Misconfigured && r.PID == 0
		})
		if pid != 0 && alive(pid) {
			t.Errorf("the refused plugin %d still runs", pid)
		}
		if told := j.atLeast(slog.LevelWarn); len(told) != 1 || len(j.atLeast(slog.LevelError)) != 1 {
			t.Errorf("want one error and no warning, got %q", told)
		}
	}
}

// TestANewBinaryOwesNothingForTheOldOne: after MISCONFIGURED the failures that came before
// it are forgotten, because what failed is not what runs.
func TestANewBinaryOwesNothingForTheOldOne(t *testing.T) {
	refuse := mem.Fault{Times: 1, Err: &provider.Error{Class: provider.InvalidArgument, Op: "configure", Message: "no"}}
	t.Run("a death", func(t *testing.T) {
		bubble(t, settings{}, func(t *testing.T, b *bench) {
			b.launcher.print.Store("old")
			b.run()
			b.ready()
			b.backend.Fail(mem.Configure, refuse)
			b.die() // restarted at once, and refused then
			b.wantState(lifecycle.Misconfigured)
			b.launcher.print.Store("new")
			b.pass(4 * time.Second)
			b.ready()
			died := time.Now()
			b.die()
			b.ready()
			at := b.launcher.launches()
			if pause := at[len(at)-1].Sub(died); pause != 0 {
				t.Errorf("the new binary's first restart came after %s, not at once", pause)
			}
		})
	})
	t.Run("failed starts", func(t *testing.T) {
		bubble(t, settings{}, func(t *testing.T, b *bench) {
			b.launcher.print.Store("old")
			b.launcher.setFail(errors.New("no such file"))
			b.run()
			b.pass(10 * time.Minute) // the waits are up to 30 s now
			b.backend.Fail(mem.Configure, refuse)
			b.launcher.setFail(nil)
			b.pass(31 * time.Second)
			b.wantState(lifecycle.Misconfigured)
			tries := len(b.launcher.launches())
			b.launcher.setFail(errors.New("no such file"))
			b.launcher.print.Store("new")
			b.pass(5 * time.Minute)
			at := b.launcher.launches()[tries:]
			for i := range 6 {
				if pause, limit := at[i+1].Sub(at[i]), 200*time.Millisecond<<i; pause > limit {
					t.Errorf("the new binary's pause %d is %s, of at most %s", i+1, pause, limit)
				}
			}
		})
	})
}

// TestAPluginThatDiesOfItsRefusalIsMisconfigured: it was refused all the same, and is not
// tried again and again.
func TestAPluginThatDiesOfItsRefusalIsMisconfigured(t *testing.T) {
	var die func()
	s := settings{config: `{"reject":"no such colour"}`, explain: func() { die() }}
	bubble(t, s, func(t *testing.T, b *bench) {
		die = b.die
		b.run()
		b.pass(time.Hour)
		b.wantState(lifecycle.Misconfigured)
		if n := len(b.launcher.launches()); n != 1 {
			t.Errorf("%d launches of a refused configuration", n)
		}
		if r := b.Report(); r.Reason != "config.hcl:3: no such colour" {
			t.Errorf("reason %q", r.Reason)
		}
	})
}
