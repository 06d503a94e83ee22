package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// ensureMany lets n callers ensure at the same instant.
func (w *world) ensureMany(n int) []<-chan result {
	begin := make(chan struct{})
	var all []<-chan result
	for range n {
		all = append(all, later(func() (lifecycle.Session, error) {
			<-begin
			return w.engine.Ensure(context.Background(), request(""))
		}))
	}
	close(begin)
	synctest.Wait()
	return all
}

// agreed checks that all callers got the same running session, and returns it.
func (w *world) agreed(all ...<-chan result) lifecycle.Session {
	w.t.Helper()
	var first lifecycle.Session
	for i, c := range all {
		r := w.over(c)
		w.must(r.err)
		if i == 0 {
			first = r.session
		}
		if r.session.ID != first.ID || r.session.SandboxID != first.SandboxID || r.session.Status != lifecycle.StatusRunning {
			w.t.Fatalf("caller %d got %+v, the first %+v", i, r.session, first)
		}
	}
	return first
}

// 5. One chat, one sandbox, as long as all ensure.
func TestPromise5_FiftyEnsureAtOnce(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Second} {
		inBubble(t, func(t *testing.T, w *world) {
			if delay > 0 {
				w.prober.set(delay, false)
				w.store.Delay(time.Millisecond)
				w.mem.Fail(mem.Prepare, mem.Fault{Delay: delay})
			}
			all := w.ensureMany(50)
			w.pass(10 * time.Second)
			w.agreed(all...)
			w.calls(mem.Prepare, 1)
			w.calls(mem.Create, 1)
			w.boxes(1)
			if list, _ := w.engine.List(lifecycle.Filter{All: true}); len(list) != 1 {
				t.Errorf("%d sessions", len(list))
			}
		})
	}
}

// Callers who come while the provider is being asked need not ask again one by one.
func TestEnsureAsksForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Minute)
		writes := w.store.Writes()
		w.mem.Fail(mem.Get, mem.Fault{Delay: time.Second})
		all := w.ensureMany(50)
		w.pass(2 * time.Second)
		if s := w.agreed(all...); s.ID != first.ID {
			t.Errorf("%+v", s)
		}
		if n := w.mem.Calls(mem.Get); n > 2 {
			t.Errorf("%d calls of get for 50 callers", n)
		}
		if n := w.store.Writes() - writes; n > 2 {
			t.Errorf("%d writes for 50 callers", n)
		}
		late := w.ensureLater(t.Context(), request("")) // an older answer is not enough for it
		w.pass(time.Second)
		w.agreed(late)
		w.calls(mem.Get, 3)
	})
}

// Fifty find the dead one at once, and there is one new one.
func TestPromise5_FiftyFindItDead(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.unseen()
		w.mem.Vanish(first.SandboxID)
		w.mem.Fail(mem.Create, mem.Fault{Delay: time.Second})
		all := w.ensureMany(50)
		w.pass(5 * time.Second)
		if s := w.agreed(all...); s.ID == first.ID {
			t.Errorf("%+v", s)
		}
		w.calls(mem.Create, 2)
		w.boxes(1)
		w.ended(first.ID, lease.Removed)
	})
}

// A create in flight is joined, whoever began it, and the deadline is pushed after it.
func TestEnsureJoins(t *testing.T) {
	for name, begin := range map[string]func(w *world) <-chan result{
		"ensure":         func(w *world) <-chan result { return w.ensureLater(context.Background(), request("")) },
		"create":         func(w *world) <-chan result { return w.createLater(context.Background(), id1) },
		"create, minted": func(w *world) <-chan result { return w.createLater(context.Background(), "") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.prober.set(20*time.Second, false)
				maker := begin(w)
				w.pass(5 * time.Second)
				joiner := w.ensureLater(t.Context(), withTTL(request(""), 10*time.Minute))
				w.pending(joiner)
				w.pass(15 * time.Second)
				joined := w.agreed(joiner, maker)
				if time.Until(joined.ExpiresAt) != 10*time.Minute {
					t.Errorf("it has %v to live", time.Until(joined.ExpiresAt))
				}
				w.calls(mem.Create, 1)
				w.boxes(1)
			})
		})
	}
}

// What it joined fails: it hears that, and the next one is a new try.
func TestEnsureJoinsAFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(0, true)
		a, b := w.createLater(t.Context(), ""), w.ensureLater(t.Context(), request(""))
		w.pass(30 * time.Second)
		failed(t, w.over(a).err, lifecycle.CodeSandboxStartFailed)
		failed(t, w.over(b).err, lifecycle.CodeSandboxStartFailed, "was not ready within 30s")
		w.boxes(0)
		w.prober.set(0, false)
		w.ensure(request(""))
		w.boxes(1)
	})
}

// Who leaves takes nothing from those who stay.
func TestEnsureFirstCallerLeaves(t *testing.T) {
	for _, end := range []time.Duration{time.Second, 10 * time.Second} { // long before, and in the last moment
		inBubble(t, func(t *testing.T, w *world) {
			w.prober.set(10*time.Second, false)
			ctx, cancel := context.WithTimeout(t.Context(), end)
			defer cancel()
			first := w.ensureLater(ctx, request(""))
			second := w.ensureLater(t.Context(), request(""))
			w.pass(10 * time.Second)
			s := w.agreed(second)
			if r := w.over(first); end == time.Second || r.err != nil {
				failed(t, r.err, lifecycle.CodeUnavailable, "the caller left")
			}
			w.pass(time.Minute)
			w.status(s.ID, lifecycle.StatusRunning)
			w.boxes(1)
			w.calls(mem.Create, 1)
		})
	}
}

// All leave, at any instant, and another one comes at the same instant: that one gets a
// session, and nothing else is left.
func TestEnsureAllLeave(t *testing.T) {
	for i := range 28 {
		ms := i / 2
		bubble(t, func(t *testing.T, w *world) {
			if i%2 == 0 {
				w.templates[0].port = 0
			}
			w.start()
			w.store.Delay(2 * time.Millisecond)
			w.mem.Fail(mem.Prepare, mem.Fault{Delay: 2 * time.Millisecond})
			w.mem.Fail(mem.Create, mem.Fault{Delay: 2 * time.Millisecond, After: true})
			w.mem.Fail(mem.Delete, mem.Fault{Delay: 2 * time.Millisecond})
			w.prober.set(2*time.Millisecond, false)
			patience := time.Duration(ms) * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a, b := w.ensureLater(ctx, request("")), w.ensureLater(ctx, request(""))
			var next <-chan result
			if patience == 0 {
				next = w.ensureLater(t.Context(), request(""))
			} else {
				<-time.After(patience)
				next = w.ensureLater(t.Context(), request(""))
			}
			w.pass(time.Second)
			s := w.agreed(next)
			for _, c := range []<-chan result{a, b} {
				if r := w.over(c); r.err == nil && r.session.ID != s.ID {
					t.Errorf("after %d ms: %+v beside %+v", ms, r.session, s)
				} else if r.err != nil && !errors.Is(r.err, lifecycle.CodeUnavailable) && !errors.Is(r.err, lifecycle.CodeResourceExhausted) {
					t.Errorf("after %d ms: %v", ms, r.err)
				}
			}
			if box := w.boxes(1)[0]; box.SessionID != s.ID {
				t.Errorf("after %d ms: %+v", ms, box)
			}
			if list, _ := w.engine.List(lifecycle.Filter{}); len(list) != 1 {
				t.Errorf("after %d ms: %+v", ms, list)
			}
		})
	}
}

// A delete of what is being ensured wins; who comes after it gets a new one.
func TestEnsureMeetsADelete(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(10*time.Second, false)
		c := w.ensureLater(t.Context(), request(id1))
		w.must(w.engine.Delete(t.Context(), id1))
		failed(t, w.over(c).err, lifecycle.CodeConflict, "the session was deleted")
		w.boxes(0)
		next := w.ensureLater(t.Context(), request(""))
		w.pass(10 * time.Second)
		w.agreed(next)
		w.boxes(1)
	})
}

func TestEnsureAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.restart()
		if s := w.ensure(request("")); s.ID != first.ID || s.SandboxID != first.SandboxID {
			t.Errorf("%+v", s)
		}
		w.calls(mem.Create, 1)
	})
}

// The host went down while it created: what is found is joined, and while it can't be
// looked for there is no second one.
func TestEnsureJoinsWhatIsRecovered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(20*time.Second, false)
		w.createLater(context.Background(), id1)
		w.pass(time.Second)
		w.crash()
		w.boot()
		_, err := w.engine.Ensure(t.Context(), request(""))
		if e := failed(t, err, lifecycle.CodeUnavailable, `ensure: provider "mem" is not ready`); e.SessionID != id1 {
			t.Errorf("%+v", e)
		}
		w.prober.set(20*time.Second, false)
		w.must(w.sup.start())
		all := w.ensureMany(5)
		w.pending(all[0])
		w.pass(20 * time.Second)
		if s := w.agreed(all...); s.ID != id1 || time.Until(s.ExpiresAt) != 5*time.Minute {
			t.Errorf("%+v, it has %v to live", s, time.Until(s.ExpiresAt))
		}
		w.calls(mem.Create, 1)
		w.boxes(1)
	})
}

// The host went down before the sandbox was there, and none comes: that is heard, and the
// next try makes one.
func TestEnsureNothingIsRecovered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Hang: true})
		w.createLater(context.Background(), id1)
		w.pass(time.Second)
		w.restart()
		c := w.ensureLater(t.Context(), request(""))
		w.pending(c)
		w.pass(4 * time.Minute)
		failed(t, w.over(c).err, lifecycle.CodeSandboxStartFailed, "no sandbox came of it")
		w.ended(id1, lease.Failed)
		w.ensure(request(""))
		w.boxes(1)
	})
}

// Who waits for a slot leaves in the moment in which somebody joins with the same id: that
// one has a session in the end, and hears nothing of the other's leaving.
func TestCreateQueuedIsLeftAndJoined(t *testing.T) {
	for name, verb := range map[string]func(*lifecycle.Engine, context.Context, lifecycle.CreateRequest) (lifecycle.Session, error){
		"create": (*lifecycle.Engine).Create,
		"ensure": (*lifecycle.Engine).Ensure,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.limits.MaxCreating = 1
				failing := &holdLog{Handler: slog.DiscardHandler, message: "a create failed", release: make(chan struct{})}
				w.bootOn(func(s *supervisor) lifecycle.Backend { return s }, failing)
				hold := make(chan struct{})
				w.mem.Fail(mem.Create, mem.Fault{Hold: hold})
				other := request("")
				other.ChatID = "8d444840-9dc0-11d1-b245-5ffdce74fad2"
				busy := later(func() (lifecycle.Session, error) { return w.engine.Create(context.Background(), other) })

				ctx, leave := context.WithCancel(t.Context())
				first := later(func() (lifecycle.Session, error) { return verb(w.engine, ctx, request(id1)) })
				leave()
				failed(t, w.over(first).err, lifecycle.CodeResourceExhausted, "max_creating is 1")
				w.status(id1, lifecycle.StatusCreating) // it is on its way out, and nobody sees it yet
				var joined []<-chan result
				for range 3 {
					joined = append(joined, later(func() (lifecycle.Session, error) { return verb(w.engine, context.Background(), request(id1)) }))
				}
				for _, c := range joined {
					w.pending(c)
				}
				close(failing.release)
				synctest.Wait()
				for _, c := range joined {
					w.pending(c)
				}
				close(hold)
				w.pass(time.Second)
				w.must(w.over(busy).err)
				if s := w.agreed(joined...); s.ID != id1 {
					t.Errorf("%+v", s)
				}
				w.boxes(2)
			})
		})
	}
}

// holdLog holds up whoever logs a message.
type holdLog struct {
	slog.Handler
	message string
	release chan struct{}
}

func (h *holdLog) Enabled(context.Context, slog.Level) bool { return true }

func (h *holdLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.message {
		<-h.release
	}
	return nil
}

// bootOn begins a life of the host with a backend and a log of the test's own.
func (w *world) bootOn(wrap func(*supervisor) lifecycle.Backend, log slog.Handler) {
	w.t.Helper()
	w.obs = &observer{}
	engine, err := lifecycle.New(w.t.Context(), lifecycle.Options{
		Owner: owner, Limits: w.limits, Store: w.store, Templates: []lifecycle.Template{w.templates[0]},
		Prober: w.prober, Observer: w.obs, Logger: slog.New(log),
	})
	w.must(err)
	w.engine, w.sup = engine, newSupervisor("mem", w.mem)
	w.sup.engine = engine
	engine.Attach("mem", wrap(w.sup))
	w.run(engine)
	w.must(w.sup.start())
	synctest.Wait()
}
