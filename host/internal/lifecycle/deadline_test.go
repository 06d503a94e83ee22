package lifecycle_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// What the machine sleeps counts: a deadline that passed meanwhile is acted on when the
// tick finds it, and one that lies ahead is not moved.
func TestSuspendIsAdded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var slept atomic.Int64
		w.slept = func() time.Duration { return time.Duration(slept.Load()) + time.Hour } // before the start
		w.start()
		w.create(id1)
		w.pass(time.Minute)
		slept.Add(int64(2*time.Minute + 45*time.Second)) // no sweep comes to its help
		w.pass(75*time.Second - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)

		w.create(id2)
		slept.Add(int64(8 * time.Hour))
		// Made after the sleep, and before the tick has found it: not a moment shorter.
		w.create(id3)
		ext := w.get(id3)
		w.pass(2 * time.Second)
		w.ended(id2, lease.Expired)
		w.pass(time.Until(ext.ExpiresAt) - time.Nanosecond)
		w.status(id3, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id3, lease.Expired)

		// Two clocks are never read at the same instant: a difference of microseconds is none.
		w.create("44444444-4444-4444-8444-444444444444")
		before := slept.Load()
		for i := range 1000 {
			slept.Store(before + int64(i%7)*int64(time.Microsecond))
			w.pass(200 * time.Millisecond)
		}
		w.status("44444444-4444-4444-8444-444444444444", lifecycle.StatusRunning)
		w.pass(100*time.Second - time.Nanosecond)
		w.status("44444444-4444-4444-8444-444444444444", lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended("44444444-4444-4444-8444-444444444444", lease.Expired)
	})
}

func TestManyDeadlinesAreExact(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		want := map[string]time.Time{}
		for i := range 100 {
			req := request("")
			req.TTL = time.Duration(1+(i*37)%100) * time.Second
			s, err := w.engine.Create(t.Context(), req)
			w.must(err)
			want[s.ID] = s.ExpiresAt
		}
		w.pass(101 * time.Second)
		for id, at := range want {
			if s := w.ended(id, lease.Expired); !s.Ended.At.Equal(at) {
				t.Errorf("%s ended at %v, its deadline was %v", id, s.Ended.At, at)
			}
		}
		w.boxes(0)
	})
}

func TestExpireGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Delay: 10 * time.Second})
		w.pass(5 * time.Minute)
		w.status(id1, lifecycle.StatusStopping)
		w.pass(10 * time.Second)
		w.ended(id1, lease.Expired)
		w.boxes(0)
	})
}

// A stop that fails, lies or never ends does not keep a sandbox alive.
func TestExpireByForce(t *testing.T) {
	for name, c := range map[string]struct {
		fault mem.Fault
		after time.Duration
	}{
		"fails": {mem.Fault{Err: errors.New("no")}, 0},
		"lies":  {mem.Fault{Outcome: "maybe"}, 0},
		"hangs": {mem.Fault{Hang: true}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				w.mem.Fail(mem.Stop, c.fault)
				w.pass(5*time.Minute + c.after)
				w.ended(id1, lease.Expired)
				w.boxes(0)
				_, _, lags, _ := w.obs.all()
				if len(lags) != 1 || lags[0] != 0 {
					t.Errorf("lags %v", lags)
				}
			})
		})
	}
}

// A delete that fails is tried again until it is done; the lag is told once.
func TestExpireTriesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 3, Err: errors.New("device busy")})
		w.pass(5 * time.Minute)
		w.status(id1, lifecycle.StatusDeleting)
		w.pass(1*time.Second + 2*time.Second + 4*time.Second)
		w.ended(id1, lease.Expired)
		w.boxes(0)
		_, ended, lags, _ := w.obs.all()
		if len(lags) != 1 || len(ended) != 1 {
			t.Errorf("lags %v, ended %v", lags, ended)
		}
	})
}

func TestExpireWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.pass(4 * time.Minute)
		w.sup.away()
		w.pass(time.Hour)
		w.status(id1, lifecycle.StatusUnknown)
		w.boxes(1)
		w.sup.back()
		w.pass(0)
		end := w.ended(id1, lease.Expired)
		if got := time.Since(end.Ended.At); got != 0 {
			t.Errorf("it ended %v ago", got)
		}
		w.boxes(0)
		_, _, lags, _ := w.obs.all()
		if len(lags) != 1 || lags[0] != time.Since(s.ExpiresAt).Truncate(0) {
			t.Errorf("lags %v, want %v", lags, time.Since(s.ExpiresAt))
		}
	})
}

// A sweep that hangs does not keep what is due waiting.
func TestExpireWhileASweepHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.pass(30 * time.Second)
		w.mem.Fail(mem.List, mem.Fault{Hang: true})
		w.pass(4*time.Minute + 29*time.Second)
		w.sup.away()
		w.pass(10 * time.Second)
		w.status(id1, lifecycle.StatusUnknown)
		w.sup.back()
		w.pass(0)
		w.ended(id1, lease.Expired)
	})
}

func TestMaxReaping(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxReaping = 3
		w.start()
		for range 10 {
			w.create("")
		}
		w.mem.Fail(mem.Stop, mem.Fault{Delay: 10 * time.Second})
		w.pass(5 * time.Minute)
		for i := range 4 {
			w.calls(mem.Stop, min(3*(i+1), 10))
			w.pass(10 * time.Second)
		}
		w.boxes(0)
	})
}

// Stopped sessions keep their deadline.
func TestStoppedExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		_, err := w.engine.Stop(t.Context(), id1)
		w.must(err)
		w.pass(5*time.Minute - time.Nanosecond)
		w.status(id1, lifecycle.StatusStopped)
		w.boxes(1)
		w.pass(time.Nanosecond)
		if s := w.ended(id1, lease.Expired); s.Ended.ExitCode == nil || *s.Ended.ExitCode != 143 {
			t.Errorf("%+v", s.Ended)
		}
		w.calls(mem.Stop, 1)
		w.boxes(0)
	})
}

func TestTerminalRecordsAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		events := w.watch()
		w.create(id1)
		w.must(w.engine.Delete(t.Context(), id1))
		w.pass(time.Hour - time.Nanosecond)
		w.ended(id1, lease.Deleted)
		w.pass(time.Nanosecond)
		if _, err := w.engine.Get(id1); !errors.Is(err, lifecycle.CodeNotFound) {
			t.Errorf("%v", err)
		}
		if _, ok := w.store.Record(id1); ok {
			t.Error("its lease is still there")
		}
		if got := story(events(), id1); got != "creating running deleting ended(deleted) pruned" {
			t.Error(got)
		}
		w.create(id1) // the id is free again
	})
}

// Events, sweeps and wake-ups about a session that has ended change nothing.
func TestTerminalRecordsStayUntilThen(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.must(w.engine.Delete(t.Context(), id1))
		for i := range 59 {
			w.mem.Emit(provider.Event{SandboxID: s.SandboxID, SessionID: id1, Kind: provider.EventExited})
			if i%10 == 0 {
				w.sup.away()
				w.pass(time.Second)
				w.sup.back()
			}
			w.pass(time.Minute - time.Second)
			w.ended(id1, lease.Deleted)
		}
	})
}

func TestLagOfTheReasonExpiredOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Err: errAway})
		err := w.engine.Delete(t.Context(), id1)
		failed(t, err, lifecycle.CodeUnavailable)
		w.pass(10 * time.Minute)
		w.mem.Clear()
		w.pass(30 * time.Second)
		w.ended(id1, lease.Deleted)
		if _, _, lags, _ := w.obs.all(); len(lags) != 0 {
			t.Errorf("lags %v", fmt.Sprint(lags))
		}
	})
}

// Promise 2: what fails at a provider that can be reached is tried again after a while; a
// deadline does not wait for that.
func TestPromise2_DeadlineComesBeforeTheNextTry(t *testing.T) {
	for name, trouble := range map[string]func(w *world, s lifecycle.Session){
		"get": func(w *world, s lifecycle.Session) {
			w.mem.Fail(mem.Get, mem.Fault{Err: errAway})
			w.mem.Emit(provider.Event{SandboxID: s.SandboxID, SessionID: s.ID, Kind: provider.EventExited})
		},
		"stop": func(w *world, s lifecycle.Session) {
			w.mem.Fail(mem.Stop, mem.Fault{Times: 6, Err: errAway})
			_, err := w.engine.Stop(w.t.Context(), s.ID)
			failed(w.t, err, lifecycle.CodeUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.pass(13 * time.Second) // off the sweeps
				s := w.create(id1)
				w.pass(4 * time.Minute)
				trouble(w, s)
				w.pass(time.Until(s.ExpiresAt))
				_, _, lags, _ := w.obs.all()
				if len(lags) != 1 || lags[0] != 0 {
					t.Errorf("lags %v, want 0", lags)
				}
			})
		})
	}
}

// An expiry that had begun when the host died goes on when the next one finds the wall clock
// set back: its stop may be on its way, so nobody is told that the session has more time.
func TestPromise1_ExpiryBegunIsNotExtended(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Fail(mem.Stop, mem.Fault{Hang: true})
		w.pass(time.Until(s.ExpiresAt))
		w.calls(mem.Stop, 1)
		w.crash()
		rec := record(t, w.store, id1)
		if rec.State != lease.Stopping || rec.Reason != lease.Expired {
			t.Fatalf("lease: %+v", rec)
		}
		rec.ExpiresAt = rec.ExpiresAt.Add(time.Minute) // as the clock that was set back has it
		w.must(w.store.Put(t.Context(), rec))
		w.mem.Clear()
		w.boot()
		_, err := w.engine.Extend(t.Context(), id1, lifecycle.ExtendRequest{By: time.Minute})
		failed(t, err, lifecycle.CodeConflict, "session "+id1+" is stopping")
		w.must(w.sup.start())
		w.pass(time.Second)
		w.ended(id1, lease.Expired)
		w.boxes(0)
	})
}
