package lifecycle_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// quietly changes the world while no event stream is open, so that only a list tells.
func (w *world) quietly(f func()) {
	w.t.Helper()
	w.mem.Fail(mem.Events, mem.Fault{Hang: true})
	w.mem.BreakEvents()
	w.pass(3 * time.Second)
	if n := w.mem.Streams(); n != 0 {
		w.t.Fatalf("%d event streams are open", n)
	}
	f()
}

// long makes the default template's sessions live for ten hours.
func long(w *world) { w.templates[0].ttl = 10 * time.Hour }

func longBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	bubble(t, func(t *testing.T, w *world) { long(w); w.start(); f(t, w) })
}

// What an event tells is acted on at once; what only a list tells, at the next sweep.
func TestDeathIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(w *world, id string)
		reason  lease.Reason
		code    int // -1: nobody saw it
	}{
		"exit":    {func(w *world, id string) { w.mem.Exit(id, 3, false) }, lease.Exited, 3},
		"oom":     {func(w *world, id string) { w.mem.Exit(id, 137, true) }, lease.OOMKilled, 137},
		"removed": {func(w *world, id string) { w.mem.Vanish(id) }, lease.Removed, -1},
	} {
		check := func(t *testing.T, w *world) {
			t.Helper()
			s := w.ended(id1, c.reason)
			if c.code < 0 && s.Ended.ExitCode != nil || c.code >= 0 && (s.Ended.ExitCode == nil || *s.Ended.ExitCode != c.code) {
				t.Errorf("exit code %v", s.Ended.ExitCode)
			}
			if s.Ended.OOMKilled != (c.reason == lease.OOMKilled) {
				t.Errorf("%+v", s.Ended)
			}
			w.boxes(0)
		}
		t.Run(name+" by event", func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				s := w.create(id1)
				lists := w.mem.Calls(mem.List)
				c.happens(w, s.SandboxID)
				synctest.Wait()
				check(t, w)
				w.calls(mem.List, lists)
			})
		})
		t.Run(name+" by sweep", func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				s := w.create(id1)
				w.quietly(func() { c.happens(w, s.SandboxID) })
				synctest.Wait()
				w.pass(50 * time.Second)
				w.status(id1, lifecycle.StatusRunning)
				w.pass(10 * time.Second)
				check(t, w)
			})
		})
	}
}

// Nothing is concluded from a list that is not a complete and sound one, from a Get that
// fails, or from another backend.
func TestNothingIsConcluded(t *testing.T) {
	for name, spoil := range map[string]func(w *world, box *provider.Sandbox){
		"list error":    func(w *world, _ *provider.Sandbox) { w.mem.Fail(mem.List, mem.Fault{Err: errAway}) },
		"list hangs":    func(w *world, _ *provider.Sandbox) { w.mem.Fail(mem.List, mem.Fault{Hang: true}) },
		"list cut":      func(w *world, _ *provider.Sandbox) { w.mem.Fail(mem.List, mem.Fault{Cut: 1}) },
		"list internal": func(w *world, _ *provider.Sandbox) { w.mem.Fail(mem.List, mem.Fault{Err: errors.New("?")}) },
		"id twice": func(w *world, _ *provider.Sandbox) {
			w.mem.Put(provider.Sandbox{Owner: "other"})
			w.mem.Fail(mem.List, mem.Fault{Lie: func(s *provider.Sandbox) { s.ID = "same" }})
		},
		"empty id": func(w *world, _ *provider.Sandbox) {
			w.mem.Fail(mem.List, mem.Fault{Lie: func(s *provider.Sandbox) { s.ID = "" }})
		},
		"get fails": func(w *world, _ *provider.Sandbox) { w.mem.Fail(mem.Get, mem.Fault{Err: errAway}) },
		"get lies": func(w *world, _ *provider.Sandbox) {
			w.mem.Fail(mem.Get, mem.Fault{Lie: func(s *provider.Sandbox) { s.ID, s.State = "another", provider.StateExited }})
		},
		"identity fails": func(w *world, box *provider.Sandbox) {
			w.mem.Fail(mem.Identity, mem.Fault{Err: errAway})
			w.mem.Vanish(box.ID)
		},
		"other backend": func(w *world, box *provider.Sandbox) { w.mem.SetIdentity("B"); w.mem.Vanish(box.ID) },
	} {
		refused := map[string]bool{"list error": true, "list hangs": true, "list cut": true, "id twice": true, "empty id": true}
		t.Run(name, func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				box := w.boxes(1)[0]
				w.mem.Put(provider.Sandbox{ID: "zz", Owner: "other", SessionID: id3})
				w.quietly(func() { spoil(w, &box) })
				w.sup.engine.SandboxEvent("mem", provider.Event{SandboxID: box.ID, SessionID: id1, Kind: provider.EventRemoved})
				w.pass(20 * time.Minute)
				w.status(id1, lifecycle.StatusRunning)
				if ops, _, _, _ := w.obs.all(); refused[name] && ops[len(ops)-1] != "list_active error" {
					t.Errorf("%v", ops[len(ops)-1])
				}
				w.mem.Clear()
				w.mem.SetIdentity("A")
				w.mem.Put(box)
				w.pass(2 * time.Minute)
				w.status(id1, lifecycle.StatusRunning)
				w.calls(mem.Delete, 0)
			})
		})
	}
}

// A list may lack a sandbox that is there: Get is asked, and has the last word.
func TestAListThatForgets(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.List, mem.Fault{Times: 3, Lie: func(s *provider.Sandbox) { s.ID = "else" }})
		gets := w.mem.Calls(mem.Get)
		w.pass(3 * time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		if got := w.mem.Calls(mem.Get); got <= gets {
			t.Error("Get was not asked")
		}
	})
}

// Absence is judged only for sessions that were at rest when the list was asked for.
func TestAListThatIsOlderThanTheSession(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.pass(time.Minute - time.Second)
		w.mem.Fail(mem.List, mem.Fault{Times: 1, After: true, Delay: 10 * time.Second})
		w.pass(2 * time.Second) // the list is answered with nothing, late
		gets := w.mem.Calls(mem.Get)
		w.create(id1)
		w.pass(10 * time.Second)
		w.status(id1, lifecycle.StatusRunning)
		w.calls(mem.Get, gets)
	})
}

// Paused, or in a state that the provider does not know: no end.
func TestPausedAndUnknownStates(t *testing.T) {
	for _, state := range []provider.State{provider.StatePaused, provider.StateUnknown} {
		longBubble(t, func(t *testing.T, w *world) {
			s := w.create(id1)
			w.mem.SetState(s.SandboxID, state)
			w.sup.engine.SandboxEvent("mem", provider.Event{SandboxID: s.SandboxID, Kind: provider.EventExited})
			w.pass(10 * time.Minute)
			w.status(id1, lifecycle.StatusRunning)
			w.pass(10 * time.Hour)
			w.ended(id1, lease.Expired)
			w.boxes(0)
		})
	}
}

// Somebody starts a stopped sandbox again: it is stopped again.
func TestStoppedStaysStopped(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		_, err := w.engine.Stop(t.Context(), id1)
		w.must(err)
		w.mem.SetState(s.SandboxID, provider.StateRunning)
		w.mem.Emit(provider.Event{SandboxID: s.SandboxID, Kind: provider.EventStarted})
		synctest.Wait()
		if box := w.boxes(1)[0]; box.State != provider.StateExited {
			t.Errorf("%+v", box)
		}
		w.quietly(func() { w.mem.SetState(s.SandboxID, provider.StateRunning) })
		w.pass(time.Minute)
		if box := w.boxes(1)[0]; box.State != provider.StateExited {
			t.Errorf("%+v", box)
		}
		w.status(id1, lifecycle.StatusStopped)
	})
}

// Restarted from outside it may have another address.
func TestEndpointMoves(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		events := w.watch()
		box := w.boxes(1)[0]
		box.Endpoint = &provider.Endpoint{IP: "10.9.9.9", Port: 8000}
		w.mem.Put(box)
		w.pass(time.Minute)
		if got := w.status(id1, lifecycle.StatusRunning); got.Endpoint == nil || got.Endpoint.IP != "10.9.9.9" || got.SandboxID != s.SandboxID {
			t.Errorf("%+v", got.Endpoint)
		}
		if all := events(); all[len(all)-1].Session.Endpoint.IP != "10.9.9.9" {
			t.Error("the watchers were not told")
		}
	})
}

// A broken event stream brings a sweep, at most one a second.
func TestBrokenEventsBringSweeps(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.pass(10 * time.Second)
		lists := w.mem.Calls(mem.List)
		w.mem.Fail(mem.Events, mem.Fault{Times: 20, Err: errors.New("no")})
		w.mem.BreakEvents()
		synctest.Wait()
		w.calls(mem.List, lists+1)
		w.mem.Vanish(s.SandboxID)
		for range 50 {
			w.engine.EventsBroken("mem")
			w.pass(100 * time.Millisecond)
		}
		w.ended(id1, lease.Removed)
		if n := w.mem.Calls(mem.List) - lists; n < 5 || n > 7 {
			t.Errorf("%d sweeps in five seconds", n)
		}
	})
}

// What happened while the daemon was away is looked at when it is back.
func TestSweepWhenItIsBack(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.sup.away()
		w.pass(2 * time.Second)
		w.mem.Exit(s.SandboxID, 1, false)
		w.sup.back()
		w.pass(2 * time.Second)
		w.ended(id1, lease.Exited)
	})
}

// Events that are wrong, foreign or of the engine's own making do nothing.
func TestIdleEvents(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		for _, ev := range []provider.Event{
			{SandboxID: "nobody", Kind: provider.EventRemoved},
			{SandboxID: "nobody", SessionID: id1, Kind: provider.EventRemoved},
			{SandboxID: s.SandboxID, SessionID: id2, Kind: provider.EventRemoved},
			{SandboxID: s.SandboxID, SessionID: id1, Kind: provider.EventStarted},
			{},
		} {
			w.mem.Emit(ev)
		}
		w.engine.SandboxEvent("another", provider.Event{SandboxID: s.SandboxID, Kind: provider.EventRemoved})
		w.engine.EventsBroken("another")
		w.engine.BackendChanged("another", lifecycle.BackendStatus{})
		synctest.Wait()
		w.calls(mem.Get, 0)
		w.mem.Emit(provider.Event{SandboxID: s.SandboxID, Kind: provider.EventExited}) // untrue
		synctest.Wait()
		w.calls(mem.Get, 1)
		w.pass(20 * time.Second)
		w.status(id1, lifecycle.StatusRunning)
		w.must(w.engine.Delete(t.Context(), id1))
		w.calls(mem.Get, 1)
	})
}

// What an event said is asked about until there is an answer.
func TestEventAndAGetThatFails(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Get, mem.Fault{Times: 3, Err: errAway})
		w.mem.Exit(s.SandboxID, 5, false)
		w.pass(1*time.Second + 2*time.Second + 4*time.Second)
		w.ended(id1, lease.Exited)
	})
}

// An event that comes while the answer to an earlier one is on its way is not lost.
func TestEventDuringAGet(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, After: true, Delay: 3 * time.Second})
		w.mem.Emit(provider.Event{SandboxID: s.SandboxID, Kind: provider.EventExited}) // untrue
		synctest.Wait()
		w.mem.Exit(s.SandboxID, 5, false) // true
		w.pass(5 * time.Second)
		w.ended(id1, lease.Exited)
	})
}

// The reason of an end is on disk before the sandbox goes.
func TestReasonSurvivesACrash(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, After: true, Hang: true})
		w.mem.Exit(s.SandboxID, 1, true)
		synctest.Wait()
		w.boxes(0)
		w.restart()
		w.ended(id1, lease.OOMKilled)
	})
}

// A sandbox of ours whose labels can't be read any more is in no list. It keeps its
// deadline, and goes at it.
func TestUnreadableOfOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		box := w.boxes(1)[0]
		box.Unreadable = "expires_at is no time"
		w.mem.Put(box)
		w.pass(time.Until(s.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.orphans("unreadable")
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
		w.boxes(0)
	})
}
