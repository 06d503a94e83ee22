package launch

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/berth-dev/berth/sdk/provider"
)

// lost is a plugin whose connection broke.
type lost struct {
	provider.Plugin
	drains int
	during func()
}

func (l *lost) Drain(context.Context) error {
	l.drains++
	if l.during != nil {
		l.during()
	}
	return &provider.Error{Class: provider.Unavailable, Op: "drain", Message: "connection reset by peer"}
}

// warnings counts records of the level WARN and above.
type warnings struct {
	slog.Handler
	n int
}

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		w.n++
	}
	return nil
}

// TestAKilledProcessIsAskedNothing: however long the news of its end takes.
func TestAKilledProcessIsAskedNothing(t *testing.T) {
	for _, when := range []string{"before Close", "during the drain"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, plugin := &warnings{}, &lost{}
				p := &Process{opts: Options{Name: "mock", Logger: slog.New(log), DrainTimeout: DefaultDrainTimeout, TermTimeout: DefaultTermTimeout},
					child: &child{}, plugin: plugin, done: make(chan struct{})}
				want := 0
				if when == "before Close" {
					p.Kill()
				} else {
					plugin.during, want = p.Kill, 1
				}
				p.terminate(t.Context())
				if plugin.drains != want || log.n != 0 {
					t.Errorf("%d drains, want %d; %d warnings, want none", plugin.drains, want, log.n)
				}
			})
		})
	}
}
