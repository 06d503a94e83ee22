package lifecycle_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// 1. A session that was acknowledged lives until its deadline, its stop or its delete.
func TestPromise1_LivesUntilItsDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		for i := range 5 {
			switch i {
			case 0:
				w.sup.stop(errors.New("the plugin died"))
				w.pass(10 * time.Second)
				w.must(w.sup.start())
			case 1:
				w.sup.away()
				w.pass(10 * time.Second)
				w.sup.back()
			case 2:
				w.crash()
				w.pass(10 * time.Second)
				w.start()
			case 3:
				w.mem.Fail(mem.List, mem.Fault{Times: 1, Cut: 1})
				w.store.Fail(leaseFault(1))
			case 4:
				w.stop()
				w.restart2()
			}
			w.pass(40 * time.Second)
			if got := w.status(id1, lifecycle.StatusRunning); got.SandboxID != s.SandboxID {
				t.Fatalf("step %d: another sandbox", i)
			}
		}
		w.pass(time.Until(s.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.calls(mem.Stop, 0)
		w.calls(mem.Delete, 0)
	})
}

// Whatever else ends it is kept with a reason, and every watcher is told before anybody
// sees it as ended.
func TestPromise1_ToldBeforeItIsVisible(t *testing.T) {
	for range 20 {
		longBubble(t, func(t *testing.T, w *world) {
			s := w.create(id1)
			events := w.watch()
			engine := w.engine
			seen := make(chan uint64)
			go func() { // looks without a pause, and says which event was the newest when it saw the end
				for {
					if got, _ := engine.Get(id1); got.Status == lifecycle.StatusEnded {
						break
					}
					runtime.Gosched()
				}
				for ev := range engine.Watch(context.Background()) {
					seen <- ev.Seq
					return
				}
			}()
			w.mem.Exit(s.SandboxID, 2, false)
			at := <-seen
			all := events()
			if end := all[len(all)-1]; end.Session.Status != lifecycle.StatusEnded || end.Seq > at {
				t.Errorf("it was seen at %d, and told at %d", at, end.Seq)
			}
			if s := w.ended(id1, lease.Exited); *s.Ended.ExitCode != 2 {
				t.Errorf("%+v", s.Ended)
			}
		})
	}
}

// 2. After its deadline it goes, whatever crashed meanwhile, as soon as the provider can be
// reached; never before.
func TestPromise2_ExpiresAfterRestart(t *testing.T) {
	for name, c := range map[string]struct{ down, away time.Duration }{
		"while it was down":        {10 * time.Minute, 0},
		"while it was down, away":  {10 * time.Minute, 7 * time.Minute},
		"after the restart":        {time.Minute, 0},
		"after the restart, away":  {time.Minute, time.Hour},
		"at the restart's instant": {5 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				s := w.create(id1)
				w.crash()
				w.pass(c.down)
				w.boot()
				w.pass(c.away)
				w.boxes(1)
				w.must(w.sup.start())
				w.pass(0)
				if early := time.Until(s.ExpiresAt); early > 0 {
					w.status(id1, lifecycle.StatusRunning)
					w.pass(early - time.Nanosecond)
					w.status(id1, lifecycle.StatusRunning)
					w.boxes(1)
					w.pass(time.Nanosecond)
				}
				w.ended(id1, lease.Expired)
				w.boxes(0)
			})
		})
	}
}

// The host crashes in the middle of the teardown.
func TestPromise2_ExpiresAcrossACrash(t *testing.T) {
	for name, fault := range map[mem.Verb]mem.Fault{
		mem.Stop:   {Times: 1, After: true, Hang: true},
		mem.Delete: {Times: 1, After: true, Hang: true},
	} {
		t.Run(string(name), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				w.mem.Fail(name, fault)
				w.pass(5 * time.Minute)
				w.restart()
				w.ended(id1, lease.Expired)
				w.boxes(0)
			})
		})
	}
}

// 3. An acknowledged extension survives kill -9 of host and plugin.
func TestPromise3_ExtensionSurvivesACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		var promised time.Time
		for range 20 {
			s, err := w.engine.Extend(t.Context(), id1, by(time.Minute))
			w.must(err)
			promised = s.ExpiresAt
			w.crash()
			w.start()
			if got := w.get(id1).ExpiresAt; !got.Equal(promised) {
				t.Fatalf("%v was promised, and it is %v", promised, got)
			}
		}
		w.pass(time.Until(promised) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
	})
}

// The crash comes at every instant around the answer: what was acknowledged holds.
func TestPromise3_AcknowledgedIsOnDisk(t *testing.T) {
	for us := range 12 {
		inBubble(t, func(t *testing.T, w *world) {
			s := w.create(id1)
			w.store.Delay(5 * time.Microsecond)
			c := w.extendLater(id1, by(time.Minute))
			w.pass(time.Duration(us) * time.Microsecond)
			w.crash()
			w.pass(time.Millisecond)
			acknowledged := w.over(c).err == nil
			w.store.Clear()
			w.start()
			got := w.get(id1).ExpiresAt
			if acknowledged && !got.Equal(s.ExpiresAt.Add(time.Minute)) {
				t.Errorf("after %d µs: acknowledged, and it is %v", us, got)
			}
		})
	}
}

// 4. Unreachable is not absent. (See also TestNothingIsConcluded, TestUnknown and
// TestNotFoundOfAnotherBackend.)
func TestPromise4_AnEmptyDaemonEndsNothing(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.create(id2)
		_, err := w.engine.Stop(t.Context(), id2)
		w.must(err)
		w.crash()
		full := w.mem
		w.mem = mem.NewBackend("B") // another daemon, empty, healthy
		w.boot()
		if w.sup.start() == nil {
			t.Fatal("it was accepted")
		}
		w.pass(8 * time.Hour)
		w.status(id1, lifecycle.StatusUnknown)
		w.status(id2, lifecycle.StatusUnknown)
		if n := w.mem.Calls(mem.Stop) + w.mem.Calls(mem.Delete); n != 0 {
			t.Errorf("%d changes on the other daemon", n)
		}
		w.crash()
		w.mem = full
		w.start()
		w.status(id1, lifecycle.StatusRunning)
		w.status(id2, lifecycle.StatusStopped)
	})
}

// Every kind of error, on every verb of observation, at the moment when it matters. NotFound
// is no error of Get: it is what Get says of a sandbox that is gone.
func TestPromise4_NoErrorEndsAnything(t *testing.T) {
	for _, class := range provider.Classes() {
		for _, verb := range []mem.Verb{mem.List, mem.Get, mem.Identity} {
			if class == provider.NotFound && verb == mem.Get {
				continue
			}
			t.Run(string(class)+" of "+string(verb), func(t *testing.T) {
				longBubble(t, func(t *testing.T, w *world) {
					s := w.create(id1)
					box := w.boxes(1)[0]
					away := mem.Fault{Err: &provider.Error{Class: class, Message: "?"}}
					w.mem.Fail(verb, away)
					if verb == mem.List { // an event would be enough to see the truth
						w.mem.Fail(mem.Events, away)
						w.mem.BreakEvents()
					}
					before := w.mem.Calls(verb)
					w.mem.Vanish(s.SandboxID)
					w.pass(10 * time.Minute)
					w.status(id1, lifecycle.StatusRunning)
					if w.mem.Calls(verb) == before {
						t.Error("the verb that fails was not called")
					}
					w.mem.Put(box)
					w.mem.Clear()
					w.pass(2 * time.Minute)
					w.status(id1, lifecycle.StatusRunning)
				})
			})
		}
	}
}
