package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Whoever is refused, or can't be launched, changes nothing.
func TestASuccessorThatCannotBeChangesNothing(t *testing.T) {
	gone := errors.New("no such file")
	for name, c := range map[string]struct {
		settings settings
		launch   error
		fault    *provider.Error
		refused  bool
		words    string
	}{
		"validate":         {settings: settings{config: `{"reject":"no such colour"}`}, refused: true, words: "config.hcl:3: no such colour"},
		"bind":             {settings: settings{bindErr: errors.New("config.hcl:9: unknown name")}, refused: true, words: "config.hcl:9"},
		"configure":        {fault: &provider.Error{Class: provider.InvalidArgument, Op: "configure", Message: "no socket"}, refused: true, words: "no socket"},
		"launch":           {launch: gone, words: "no such file"},
		"configure breaks": {fault: &provider.Error{Class: provider.Internal, Op: "configure", Message: "out of luck"}, words: "out of luck"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.box()
				b.run()
				b.ready()
				old, next := b.launcher.last(), b.beside()
				next.setFail(c.launch)
				if c.fault != nil {
					b.backend.Fail(mem.Configure, mem.Fault{Times: 1, Err: c.fault})
				}
				stop := b.users()
				b.pass(100 * time.Millisecond)
				made, err := b.Successor(t.Context(), next, c.settings)
				if made != nil || err == nil || !contains(err, c.words) || errors.As(err, new(*supervisor.RefusedError)) != c.refused {
					t.Errorf("got %v, %v", made, err)
				}
				b.pass(100 * time.Millisecond)
				stop()
				b.goOn(old, 1)
				if c.launch == nil && !next.last().over() {
					t.Error("the successor is left")
				}
				if len(b.observer.reasons()) != 0 || b.backend.Streams() != 1 {
					t.Errorf("restarts %v, %d streams", b.observer.reasons(), b.backend.Streams())
				}
				b.die() // the next try goes by what was there before
				b.ready()
				if len(b.launcher.launches()) != 2 {
					t.Error("the next generation is not of the old launcher")
				}
			})
		})
	}
}

// The preparation ends with its context, at whatever it is, and leaves nothing.
func TestAPreparationEndsWithItsContext(t *testing.T) {
	for _, verb := range []mem.Verb{mem.Info, mem.Configure, mem.Health, mem.List} {
		t.Run(string(verb), func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.box()
				b.run()
				b.ready()
				old, next := b.launcher.last(), b.beside()
				b.backend.Fail(verb, mem.Fault{Times: 1, Hang: true})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				_, err := b.Successor(ctx, next, settings{})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begun); took != time.Second {
					t.Errorf("it took %s of a second", took)
				}
				b.pass(10 * time.Second)
				b.goOn(old, 1)
				if !next.last().over() {
					t.Error("the successor is left")
				}
			})
		})
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		old, next := b.launcher.last(), b.beside()
		for range 3 {
			c := b.prepare(next, settings{})
			c.Discard()
			c.Discard()
			if !next.last().over() || b.backend.Streams() != 1 {
				t.Errorf("it is left; %d streams", b.backend.Streams())
			}
			b.goOn(old, 1)
		}
		c := b.prepare(next, settings{})
		b.use(c)
		c.Discard() // too late
		b.goOn(next.last(), 5)
	})
}

// From BACKOFF and MISCONFIGURED a provider leaves at once, with a generation of the
// successor's or by a new try.
func TestASuccessorEndsBackoffAndMisconfigured(t *testing.T) {
	for _, launchable := range []bool{true, false} {
		for _, from := range []lifecycle.BackendState{lifecycle.Backoff, lifecycle.Misconfigured} {
			t.Run(fmt.Sprintf("%s, launchable %v", from, launchable), func(t *testing.T) {
				s := settings{}
				if from == lifecycle.Misconfigured {
					s.config = `{"reject":"no such colour"}`
				}
				bubble(t, s, func(t *testing.T, b *bench) {
					b.box()
					if from == lifecycle.Backoff {
						b.launcher.setFail(errors.New("no such file"))
					}
					b.run()
					b.pass(10 * time.Minute)
					b.wantState(from)
					tries, next := len(b.launcher.launches()), b.beside()
					if !launchable {
						next.setFail(errors.New("not there yet"))
					}
					c := b.prepare(next, settings{})
					if launchable {
						b.use(c)
					} else {
						next.setFail(nil)
						if err := c.Err(); err != nil {
							t.Errorf("nothing runs, and the successor says %v", err)
						}
						b.use(c)
					}
					b.goOn(next.last(), b.Status().Generation)
					if r := b.Report(); r.Reason != "" || len(b.launcher.launches()) != tries {
						t.Errorf("report %+v, %d more tries of the old one", r, len(b.launcher.launches())-tries)
					}
					reasons := b.observer.reasons()
					if n := slices.Index(reasons, "reloaded"); n != len(reasons)-1 {
						t.Errorf("restarts: %v", reasons)
					}
					died := time.Now() // and the failures before are forgotten
					next.last().die("exit status 7")
					b.ready()
					if pause := time.Since(died); pause != 0 {
						t.Errorf("its first restart came after %s", pause)
					}
				})
			})
		}
	}
}

// A successor that has no generation and is used although the old plugin runs again: the
// configuration that holds is the new one.
func TestWhoCameBackMeanwhileIsReplaced(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.launcher.setFail(errors.New("no such file"))
		b.run()
		b.pass(time.Minute)
		next := b.beside()
		next.setFail(errors.New("not there yet"))
		c := b.prepare(next, settings{})
		b.launcher.setFail(nil)
		b.ready()
		if err := c.Err(); err == nil || err.Error() != "not there yet" {
			t.Errorf("it says %v", err)
		}
		old := b.launcher.last()
		b.use(c)
		if !old.over() {
			t.Error("a plugin of the old configuration goes on")
		}
		b.wantState(lifecycle.Backoff)
		if why := b.Report().Reason; why != "not there yet" {
			t.Errorf("reason %q", why)
		}
		next.setFail(nil)
		b.ready()
		b.goOn(next.last(), b.Status().Generation)
	})
}
