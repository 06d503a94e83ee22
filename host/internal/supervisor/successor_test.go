package supervisor_test

import (
	"context"
	"fmt"
	"slices"
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
		if !old.killed.Load() {
			t.Error("the create was given up before its plugin was: it may undo what others find")
		}
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
