package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

const (
	owner = "0123456789abcdef"
	chat  = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
	id1   = "11111111-1111-4111-8111-111111111111"
	id2   = "22222222-2222-4222-8222-222222222222"
	id3   = "33333333-3333-4333-8333-333333333333"
)

// world is a host's engine and all that is around it. It lives in a bubble of virtual time.
type world struct {
	t         *testing.T
	mem       *mem.Backend
	store     *leasetest.Memory
	limits    lifecycle.Limits
	adopt     map[string][]string
	templates []*template
	prober    *prober
	mem2      *mem.Backend // of a second provider, "mem2"; nil for none
	options   func(*lifecycle.Options)

	// Of one life of the host; see crash.
	sup    *supervisor
	sup2   *supervisor
	engine *lifecycle.Engine
	obs    *observer
	slept  func() time.Duration
	quit   context.CancelFunc
	done   chan struct{}
	log    *strings.Builder
}

// inBubble runs f on a running world in virtual time.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	bubble(t, func(t *testing.T, w *world) {
		w.start()
		f(t, w)
	})
}

// bubble is inBubble for a test that starts the world itself.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, mem: mem.NewBackend("A"), store: leasetest.New(), prober: &prober{},
			limits: lifecycle.Limits{
				SweepInterval: time.Minute, StopGrace: 10 * time.Second, CreateTimeout: 2 * time.Minute,
				EndedRetention: time.Hour, RecoveryGrace: 10 * time.Minute, MaxTTL: 24 * time.Hour, MaxLifetime: 168 * time.Hour,
				MaxSessions: 1000, MaxCreating: 8, MaxReaping: 8,
			},
			templates: []*template{{name: "default", provider: "mem", ttl: 5 * time.Minute, port: 8000,
				ready: lease.Ready{TCP: true, Timeout: 30 * time.Second}}},
		}
		t.Cleanup(func() {
			w.stop()
			w.sup.close()
			if w.sup2 != nil {
				w.sup2.close()
			}
		})
		f(t, w)
	})
}

// start begins a life of the host and waits until the provider is READY.
func (w *world) start() {
	w.t.Helper()
	w.boot()
	w.must(w.sup.start())
	if w.sup2 != nil {
		w.must(w.sup2.start())
	}
	synctest.Wait()
}

// boot begins a life of the host; its provider is not started.
func (w *world) boot() {
	w.t.Helper()
	w.obs, w.log = &observer{}, &strings.Builder{}
	var templates []lifecycle.Template
	for _, t := range w.templates {
		templates = append(templates, t)
	}
	options := lifecycle.Options{
		Owner: owner, Limits: w.limits, Store: w.store, Templates: templates, Prober: w.prober, Adopt: w.adopt,
		Observer: w.obs, Suspended: w.slept,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if w.options != nil {
		w.options(&options)
	}
	engine, err := lifecycle.New(w.t.Context(), options)
	w.must(err)
	w.engine = engine
	w.sup = newSupervisor("mem", w.mem)
	w.sup.engine = engine
	engine.Attach("mem", w.sup)
	if w.mem2 != nil {
		w.sup2 = newSupervisor("mem2", w.mem2)
		w.sup2.engine = engine
		engine.Attach("mem2", w.sup2)
	}
	w.run(engine)
}

func (w *world) run(engine *lifecycle.Engine) {
	ctx, quit := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.quit, w.done = quit, done
	go func() {
		defer close(done)
		engine.Run(ctx, time.Minute)
	}()
}

// stop ends the life of the host gracefully.
func (w *world) stop() {
	if w.quit != nil {
		w.quit()
		<-w.done
	}
}

// crash ends the life of the host at once: from now on nothing of it reaches the disk or
// the provider. The next life has the same store and the same backend.
func (w *world) crash() {
	w.t.Helper()
	store := w.store.Reopen()
	w.must(w.store.Close())
	w.sup.close()
	w.sup.stop(errors.New("the host was killed"))
	w.stop()
	w.store = store
	w.prober.set(0, false)
}

// restart is a crash and the next start.
func (w *world) restart() {
	w.t.Helper()
	w.crash()
	w.start()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected error: %v", err)
	}
}

// pass lets virtual time pass, and everything that it brings about.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func request(id string) lifecycle.CreateRequest {
	return lifecycle.CreateRequest{SessionID: id, ChatID: chat, AgentID: "agent-7", Template: "default"}
}

// create makes a session and fails the test when that fails.
func (w *world) create(id string) lifecycle.Session {
	w.t.Helper()
	s, err := w.engine.Create(w.t.Context(), request(id))
	w.must(err)
	synctest.Wait()
	return s
}

type result struct {
	session lifecycle.Session
	err     error
	at      time.Time
}

// later runs a verb in a goroutine of its own.
func later(f func() (lifecycle.Session, error)) <-chan result {
	c := make(chan result, 1)
	go func() {
		s, err := f()
		c <- result{s, err, time.Now()}
	}()
	synctest.Wait()
	return c
}

func (w *world) createLater(ctx context.Context, id string) <-chan result {
	return later(func() (lifecycle.Session, error) { return w.engine.Create(ctx, request(id)) })
}

func (w *world) deleteLater(id string) <-chan result {
	return later(func() (lifecycle.Session, error) {
		return lifecycle.Session{}, w.engine.Delete(context.Background(), id)
	})
}

// over returns what came of it, which must be known by now.
func (w *world) over(c <-chan result) result {
	w.t.Helper()
	synctest.Wait()
	select {
	case r := <-c:
		return r
	default:
		w.t.Fatalf("it is not over by now")
		return result{}
	}
}

func (w *world) pending(c <-chan result) {
	w.t.Helper()
	synctest.Wait()
	select {
	case r := <-c:
		w.t.Fatalf("it is over already: %+v, %v", r.session, r.err)
	default:
	}
}

func (w *world) get(id string) lifecycle.Session {
	w.t.Helper()
	s, err := w.engine.Get(id)
	w.must(err)
	return s
}

func (w *world) status(id string, want lifecycle.Status) lifecycle.Session {
	w.t.Helper()
	s := w.get(id)
	if s.Status != want {
		w.t.Fatalf("session %s is %s, want %s (ended %+v)\n%s", id, s.Status, want, s.Ended, w.log)
	}
	return s
}

func (w *world) ended(id string, want lease.Reason) lifecycle.Session {
	w.t.Helper()
	s := w.status(id, lifecycle.StatusEnded)
	if s.Ended == nil || s.Ended.Reason != want {
		w.t.Fatalf("session %s has ended: %+v, want %s", id, s.Ended, want)
	}
	return s
}

// boxes checks how many sandboxes there are.
func (w *world) boxes(n int) []provider.Sandbox {
	w.t.Helper()
	all := w.mem.Sandboxes()
	if len(all) != n {
		w.t.Fatalf("there are %d sandboxes, want %d: %+v", len(all), n, all)
	}
	return all
}

func (w *world) calls(verb mem.Verb, n int) {
	w.t.Helper()
	if got := w.mem.Calls(verb); got != n {
		w.t.Fatalf("%d calls of %s, want %d", got, verb, n)
	}
}

// failed checks an error's code and that its text has all of words.
func failed(t *testing.T, err error, code lifecycle.Code, words ...string) *lifecycle.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	var e *lifecycle.Error
	if !errors.As(err, &e) || e.Code != code || !errors.Is(err, code) {
		t.Fatalf("error %q has not the code %s: %+v", err, code, e)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("error %q does not say %q", err, word)
		}
	}
	return e
}

// watch collects the events from now on.
func (w *world) watch() func() []lifecycle.Event {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var events []lifecycle.Event
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev := range w.engine.Watch(ctx) {
			mu.Lock()
			events = append(events, ev)
			mu.Unlock()
		}
	}()
	synctest.Wait()
	w.t.Cleanup(func() { cancel(); <-done })
	return func() []lifecycle.Event {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(events)
	}
}

// story is what a watcher was told of one session, without repetitions.
func story(events []lifecycle.Event, id string) string {
	var told []string
	for _, ev := range events {
		if ev.Session.ID != id || ev.Type == lifecycle.EventSnapshot {
			continue
		}
		word := string(ev.Session.Status)
		if ev.Type == lifecycle.EventPruned {
			word = "pruned"
		} else if ev.Session.Ended != nil {
			word = fmt.Sprintf("%s(%s)", word, ev.Session.Ended.Reason)
		}
		if len(told) == 0 || told[len(told)-1] != word {
			told = append(told, word)
		}
	}
	return strings.Join(told, " ")
}

func record(t *testing.T, store *leasetest.Memory, id string) lease.Record {
	t.Helper()
	rec, ok := store.Record(id)
	if !ok {
		t.Fatalf("there is no lease of %s", id)
	}
	return rec
}

// leaseFault makes so many writes fail; 0: all until Clear.
func leaseFault(times int) leasetest.Fault { return leasetest.Fault{Times: times} }
