package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

const (
	session1 = "6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a1"
	session2 = "6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a2"
)

// beside is another launcher on the same backend.
func (b *bench) beside() *launcher { return &launcher{backend: b.backend} }

// prepare makes a successor.
func (b *bench) prepare(l supervisor.Launcher, s settings) *supervisor.Successor {
	b.t.Helper()
	c, err := b.Successor(context.Background(), l, s)
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// use puts it in its place, which takes no time.
func (b *bench) use(c *supervisor.Successor) {
	b.t.Helper()
	begun := time.Now()
	if err := c.Use(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	if took := time.Since(begun); took != 0 {
		b.t.Errorf("Use took %s", took)
	}
	synctest.Wait()
}

// users call all the time, each millisecond, until the returned function is called, which
// fails the test for each call that failed.
func (b *bench) users() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var calls, failed atomic.Int64
	for name, f := range map[string]func() error{
		"get":    func() error { _, err := b.Get(ctx, provider.Ref{ID: "box"}); return err },
		"list":   func() error { _, err := b.List(ctx, func(provider.Sandbox) error { return nil }); return err },
		"health": func() error { _, err := b.Health(ctx); return err },
		"wait":   func() error { return b.WaitReady(ctx) },
		"status": func() error {
			if st := b.Status(); st.State != lifecycle.Ready {
				return fmt.Errorf("the state is %s", st.State)
			}
			return nil
		},
	} {
		work.Go(func() {
			for ctx.Err() == nil {
				calls.Add(1)
				if err := f(); err != nil && ctx.Err() == nil && failed.Add(1) < 5 {
					b.t.Errorf("%s: %v", name, err)
				}
				<-time.After(time.Millisecond)
			}
		})
	}
	return func() {
		b.t.Helper()
		cancel()
		work.Wait()
		if calls.Load() < 100 || failed.Load() > 0 {
			b.t.Errorf("%d of %d calls failed", failed.Load(), calls.Load())
		}
	}
}

// goOn checks that a life is as it was: neither ended nor replaced.
func (b *bench) goOn(x *life, generation int) {
	b.t.Helper()
	synctest.Wait()
	if x.over() {
		b.t.Errorf("the plugin that ran has ended: %v", x.err)
	}
	if st := b.Status(); st.State != lifecycle.Ready || st.Generation != generation {
		b.t.Errorf("the provider is %s in generation %d (%v)", st.State, st.Generation, st.Err)
	}
	if _, err := b.Get(b.t.Context(), provider.Ref{ID: "box"}); err != nil {
		b.t.Error(err)
	}
}

func (x *life) over() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

func (b *bench) box() {
	b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
}

// The handover of a provider that is READY: it never stops to be, no call fails, what is
// in flight ends where it began, and events come all the time.
func TestASuccessorTakesOverWithoutAGap(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		stop := b.users()
		b.pass(time.Second)
		since := b.Status().Since
		b.backend.Fail(mem.Create, mem.Fault{Times: 1, Delay: 12 * time.Second})
		created := make(chan error, 1)
		go func() {
			made, err := b.Create(context.Background(), spec(session1))
			if err == nil && (made.Outcome != provider.OutcomeCreated || made.Sandbox.SessionID != session1) {
				err = fmt.Errorf("the answer is %+v", made)
			}
			created <- err
		}()
		b.pass(time.Millisecond)
		for _, verb := range []mem.Verb{mem.Info, mem.Configure} {
			b.backend.Fail(verb, mem.Fault{Times: 1, Delay: 3 * time.Second})
		}
		old, next := b.launcher.last(), b.beside()
		c := b.prepare(next, settings{})
		if r := b.Report(); r.Generation != 1 || r.State != lifecycle.Ready || b.backend.Streams() != 2 {
			t.Errorf("prepared: %+v, %d streams", r, b.backend.Streams())
		}
		b.pass(time.Second)
		b.use(c)
		if _, err := b.Create(t.Context(), spec(session2)); err != nil {
			t.Errorf("a create at once: %v", err)
		}
		if r := b.Report(); r.Generation != 2 || r.State != lifecycle.Ready || r.Restarts != 1 || !r.Since.Equal(since) || r.Reason != "" || r.Identity != "A" {
			t.Errorf("report: %+v", r)
		}
		if old.over() || b.backend.Streams() != 1 {
			t.Errorf("the old one has ended: %v, with a create in flight; %d streams", old.over(), b.backend.Streams())
		}
		b.backend.Exit("box", 1, false)
		synctest.Wait()
		b.engine.with(func() {
			if n := len(b.engine.events); n == 0 || b.engine.events[n-1].Kind != provider.EventExited || b.engine.broken != 0 {
				t.Errorf("%d events, %d breaks", n, b.engine.broken)
			}
			if b.engine.reconciled != 2 {
				t.Errorf("%d reconciles", b.engine.reconciled)
			}
		})
		if err := <-created; err != nil {
			t.Errorf("the create in flight: %v", err)
		}
		synctest.Wait()
		if !old.drained.Load() || old.killed.Load() || !old.over() {
			t.Errorf("drained %v, killed %v, ended %v", old.drained.Load(), old.killed.Load(), old.over())
		}
		b.pass(time.Minute)
		stop()
		if next.last().over() || len(next.launches()) != 1 || len(b.launcher.launches()) != 1 {
			t.Error("the successor was not left as it is")
		}
		if got := b.observer.reasons(); !slices.Equal(got, []string{"reloaded"}) {
			t.Errorf("restarts: %v", got)
		}
		if !slices.Equal(b.observer.up, []bool{true}) {
			t.Errorf("plugin up: %v", b.observer.up)
		}
		b.stop()
		if !next.last().drained.Load() || b.backend.Streams() != 0 {
			t.Error("the successor was not drained at the end")
		}
	})
}

// A call that has left for the old plugin and is not there yet is not refused by its drain.
func TestACallOnItsWayAtTheHandoverIsNotRefused(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.launcher.before = func(v mem.Verb) {
			if v == mem.Create {
				<-release
			}
		}
		b.run()
		b.ready()
		created := make(chan error, 1)
		go func() {
			_, err := b.Create(context.Background(), spec(session1))
			created <- err
		}()
		synctest.Wait()
		old := b.launcher.last()
		b.use(b.prepare(b.beside(), settings{}))
		b.pass(9 * time.Second)
		close(release)
		if err := <-created; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !old.drained.Load() {
			t.Error("the old one was not drained after it")
		}
	})
}

// What hangs on the old one is ended after a while; what can be asked again, is.
func TestWhatHangsOnTheOldOneIsEnded(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		begun := time.Now()
		for _, verb := range []mem.Verb{mem.Create, mem.Get} {
			b.backend.Fail(verb, mem.Fault{Times: 1, Hang: true})
		}
		created, got := make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Create(context.Background(), spec(session1)); created <- err }()
		go func() { _, err := b.Get(context.Background(), provider.Ref{ID: "box"}); got <- err }()
		synctest.Wait()
		old := b.launcher.last()
		b.use(b.prepare(b.beside(), settings{}))
		wantUnavailable(t, <-created, "ended during the call", "replaced")
		if err := <-got; err != nil {
			t.Errorf("the get: %v", err)
		}
		if took := time.Since(begun); took != 15*time.Second {
			t.Errorf("after %s", took)
		}
		synctest.Wait()
		if !old.over() || b.Status().State != lifecycle.Ready {
			t.Errorf("ended %v, %s", old.over(), b.Status().State)
		}
	})
}

func TestAFollowedLogEndsAtTheHandover(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.onA()
		b.backend.Put(provider.Sandbox{ID: "quiet", State: provider.StateRunning, SessionID: "s2", Owner: "owner"})
		seen, answer := b.follow(context.Background())
		var heard atomic.Value
		goneOn := make(chan error, 1)
		go func() {
			goneOn <- b.Logs(context.Background(), provider.LogsRequest{ID: "quiet", Follow: true}, func(c provider.LogChunk) error {
				heard.Store(string(c.Data))
				return nil
			})
		}()
		synctest.Wait()
		old := b.launcher.last()
		b.use(b.prepare(b.beside(), settings{}))
		select {
		case err := <-answer:
			wantUnavailable(t, err, "generation 1", "replaced")
		default:
			t.Fatal("the stream stays open")
		}
		b.pass(time.Second)
		if !slices.Equal(*seen, []string{"of A\n"}) || !old.drained.Load() {
			t.Errorf("read %q; drained %v", *seen, old.drained.Load())
		}
		// What had yielded nothing goes on, on the new one.
		b.backend.Print("quiet", "at last", false)
		synctest.Wait()
		if got, _ := heard.Load().(string); got != "at last\n" {
			t.Errorf("the quiet log yielded %q", got)
		}
		b.backend.Exit("quiet", 0, false)
		if err := <-goneOn; err != nil {
			t.Error(err)
		}
	})
}

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

// One that has died while it waited says so, and when it is used all the same, its like is
// launched at once.
func TestASuccessorThatDiesBeforeItsUse(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		old, next := b.launcher.last(), b.beside()
		c := b.prepare(next, settings{})
		if err := c.Err(); err != nil {
			t.Error(err)
		}
		next.last().die("exit status 7")
		synctest.Wait()
		if err := c.Err(); err == nil || !contains(err, "exit status 7") {
			t.Errorf("it says %v", err)
		}
		b.goOn(old, 1)
		b.use(c)
		b.ready()
		if n := len(next.launches()); n != 2 || len(b.launcher.launches()) != 1 {
			t.Errorf("%d launches of the new one", n)
		}
		b.goOn(next.last(), 3)
		if !old.drained.Load() {
			t.Error("the old one is left")
		}
	})
}

// What becomes of the old one while its successor is prepared does not matter.
func TestTheOldOneEndsWhileItsSuccessorWaits(t *testing.T) {
	for name, do := range map[string]func(b *bench){
		"dies":            func(b *bench) { b.die() },
		"dies in the end": func(b *bench) { b.launcher.last().die("exit status 7") }, // at the same moment
		"hangs":           func(b *bench) { b.launcher.last().hung.Store(true); b.pass(5 * time.Second) },
		"begins to hang":  func(b *bench) { b.launcher.last().hung.Store(true) },
		"can't come back": func(b *bench) { b.launcher.setFail(errors.New("no such file")); b.die(); b.pass(time.Minute) },
		"is asked in vain": func(b *bench) {
			b.backend.Fail(mem.Health, mem.Fault{Times: 1, Hang: true})
			b.pass(3 * time.Second)
		},
		"starts in vain": func(b *bench) {
			b.backend.Fail(mem.Configure, mem.Fault{Times: 1, Hang: true})
			b.die()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.box()
				b.run()
				b.ready()
				next := b.beside()
				c := b.prepare(next, settings{})
				before := b.Status().Generation
				do(b)
				b.use(c)
				b.ready()
				st := b.Status()
				b.goOn(next.last(), st.Generation)
				if len(next.launches()) != 1 || st.Generation <= before {
					t.Errorf("%d launches, generation %d after %d", len(next.launches()), st.Generation, before)
				}
				b.pass(20 * time.Second)
				for _, x := range b.launcher.lives {
					if !x.over() {
						t.Error("an old one is left")
					}
				}
				if n := b.backend.Streams(); n != 1 {
					t.Errorf("%d streams", n)
				}
				reasons := b.observer.reasons()
				if n := slices.Index(reasons, "reloaded"); n != len(reasons)-1 {
					t.Errorf("restarts: %v", reasons)
				}
			})
		})
	}
}

func TestUseBeforeAndAfterRun(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		next, third := b.beside(), b.beside()
		c := b.prepare(next, settings{})
		used := make(chan error, 1)
		go func() { used <- c.Use(context.Background()) }()
		synctest.Wait()
		b.run()
		if err := <-used; err != nil {
			t.Error(err)
		}
		b.ready()
		b.goOn(next.last(), 1)
		if len(b.launcher.launches()) != 0 {
			t.Error("the first one was launched")
		}
		waits := b.prepare(third, settings{})
		b.stop()
		if third.last().over() {
			t.Error("one that is not used has ended with Run: it is its owner's")
		}
		wantUnavailable(t, waits.Use(t.Context()), "mock", "stopping")
		if !third.last().over() {
			t.Error("used after the end, it is left")
		}
		late := b.prepare(third, settings{})
		late.Discard()
		if !third.last().over() {
			t.Error("discarded after the end, it is left")
		}
	})
}

// Run ends while a successor waits for its turn.
func TestTheEndComesBeforeTheTurn(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		next := b.beside()
		c := b.prepare(next, settings{})
		old := b.launcher.last()
		b.backend.Fail(mem.Drain, mem.Fault{Times: 1, Delay: 2 * time.Second}) // Run's goroutine is at it
		b.end()
		synctest.Wait()
		used := make(chan error, 1)
		go func() { used <- c.Use(context.Background()) }()
		b.stop()
		if err := <-used; err == nil {
			t.Error("it says that it has taken over")
		}
		if !old.over() || !next.last().over() {
			t.Error("something is left")
		}
	})
}

func TestTwoSuccessorsInARow(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		stop := b.users()
		b.pass(100 * time.Millisecond)
		one, two := b.beside(), b.beside()
		first, second := b.prepare(one, settings{}), b.prepare(two, settings{})
		answers := make(chan error, 2)
		go func() { answers <- first.Use(context.Background()) }()
		go func() { answers <- second.Use(context.Background()) }()
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		b.pass(20 * time.Second)
		stop()
		left := 0
		for _, l := range []*launcher{b.launcher, one, two} {
			if !l.last().over() {
				left++
			}
		}
		if left != 1 || !b.launcher.last().over() || b.backend.Streams() != 1 {
			t.Errorf("%d of 3 are left, %d streams", left, b.backend.Streams())
		}
		for range 20 {
			b.use(b.prepare(b.beside(), settings{}))
		}
		b.ready()
		b.pass(20 * time.Second)
		if b.backend.Streams() != 1 {
			t.Errorf("%d streams after 20 more", b.backend.Streams())
		}
	})
	bubble(t, settings{}, func(t *testing.T, b *bench) { // both before Run: the later one holds
		one, two := b.beside(), b.beside()
		first, second := b.prepare(one, settings{}), b.prepare(two, settings{})
		answers := make(chan error, 2)
		go func() { answers <- first.Use(context.Background()) }()
		synctest.Wait()
		go func() { answers <- second.Use(context.Background()) }()
		synctest.Wait()
		if !one.last().over() {
			t.Error("the first one is left")
		}
		b.run()
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		b.ready()
		if two.last().over() {
			t.Error("the second one does not run")
		}
	})
}

// A configuration that leads to another backend: the provider is DEGRADED, nobody is asked
// about a sandbox, and the next configuration that leads back heals it.
func TestASuccessorOnAnotherBackend(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.engine.with(func() { b.engine.identities = []string{"A"} })
		b.run()
		b.ready()
		elsewhere := mem.NewBackend("B")
		away := b.prepare(&launcher{backend: elsewhere}, settings{})
		// Whoever asks, and whenever, never hears of the other backend.
		asked, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for asked.Err() == nil {
					_, err := b.Get(asked, provider.Ref{ID: "box"})
					if asked.Err() == nil && err != nil && provider.ClassOf(err) != provider.Unavailable {
						t.Errorf("get: %v", err)
					}
					_, err = b.List(asked, func(provider.Sandbox) error { return nil })
					if asked.Err() == nil && err == nil && b.Status().Changed {
						t.Error("a list of a changed backend")
					}
					<-time.After(time.Microsecond)
				}
			})
		}
		b.pass(10 * time.Millisecond)
		b.use(away)
		st := b.Status()
		if st.State != lifecycle.Degraded || !st.Changed || st.Identity != "B" || !strings.Contains(st.Err.Error(), "backend changed") {
			t.Errorf("status %+v", st)
		}
		b.pass(10 * time.Millisecond)
		for _, verb := range []mem.Verb{mem.Get, mem.List, mem.Delete, mem.Create} {
			if n := elsewhere.Calls(verb); n != 0 {
				t.Errorf("%d calls of %s reached the other backend", n, verb)
			}
		}
		b.use(b.prepare(b.beside(), settings{}))
		b.pass(10 * time.Millisecond)
		stop()
		work.Wait()
		if st := b.Status(); st.State != lifecycle.Ready || st.Changed || st.Identity != "A" {
			t.Errorf("status %+v", st)
		}
		for _, verb := range []mem.Verb{mem.Get, mem.List} {
			if n := elsewhere.Calls(verb); n != 0 {
				t.Errorf("%d calls of %s reached the other backend on the way back", n, verb)
			}
		}
		if len(b.backend.Sandboxes()) != 1 {
			t.Error("the sandbox is gone")
		}
	})
}

// A backend that is away is no reason to refuse a configuration.
func TestASuccessorWhoseBackendIsAway(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		b.backend.SetAvailable(false)
		b.pass(3 * time.Second)
		next := b.beside()
		b.use(b.prepare(next, settings{}))
		b.wantState(lifecycle.Degraded)
		_, err := b.Create(t.Context(), spec(session1))
		wantUnavailable(t, err)
		b.backend.SetAvailable(true)
		b.ready()
		b.goOn(next.last(), 2)
	})
}

// A plugin that is linked in stays the one that it is.
func TestASuccessorOfALinkedPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := mem.NewBackend("A")
		plugin := supervisor.Value(mem.Plugin(backend))
		o := &observer{}
		s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{config: `{"ip":"10.0.0.1"}`}, Launcher: plugin, Observer: o})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if err := s.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		refused := func(other settings, words string) {
			t.Helper()
			c, err := s.Successor(ctx, plugin, other)
			if !errors.As(err, new(*supervisor.RefusedError)) || !contains(err, words) {
				t.Errorf("got %v, want words of %q", err, words)
			}
			c.Discard()
		}
		refused(settings{config: `{"ip":"10.0.0.2"}`}, "with a restart alone")
		refused(settings{config: `{"reject":"no such colour"}`}, "no such colour")
		refused(settings{bindErr: errors.New("config.hcl:9: unknown name")}, "config.hcl:9")
		for range 3 {
			c, err := s.Successor(ctx, plugin, settings{config: `{"ip":"10.0.0.1"}`})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Err(), c.Use(ctx)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if r := s.Report(); r.State != lifecycle.Ready || r.Generation != 1 || r.Restarts != 0 || len(o.reasons()) != 0 {
				t.Errorf("report %+v", r)
			}
		}
		<-time.After(time.Minute)
		if r := s.Report(); r.State != lifecycle.Ready || r.Generation != 1 || backend.Calls(mem.Configure) != 1 {
			t.Errorf("report %+v, %d configures", r, backend.Calls(mem.Configure))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// One that was refused is tried again with the new settings.
	synctest.Test(t, func(t *testing.T) {
		plugin := supervisor.Value(mem.Plugin(mem.NewBackend("A")))
		s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{config: `{"reject":"no such colour"}`}, Launcher: plugin})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		<-time.After(time.Minute)
		c, err := s.Successor(ctx, plugin, settings{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Use(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if st := s.Status(); st.State != lifecycle.Ready {
			t.Errorf("%s: %v", st.State, st.Err)
		}
		cancel()
		<-ended
	})
}
