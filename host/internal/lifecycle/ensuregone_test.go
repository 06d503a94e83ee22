package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// The sandbox ended while nobody looked: Ensure finds it out, ends the session as any end
// is, and makes a new one.
func TestEnsureFindsItDead(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(w *world, box string)
		reason lease.Reason
	}{
		"exited":  {func(w *world, box string) { w.mem.Exit(box, 3, false) }, lease.Exited},
		"oom":     {func(w *world, box string) { w.mem.Exit(box, 137, true) }, lease.OOMKilled},
		"removed": {func(w *world, box string) { w.mem.Vanish(box) }, lease.Removed},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				first := w.ensure(request(""))
				w.unseen()
				events := w.watch()
				c.end(w, first.SandboxID)
				w.pass(time.Second)
				w.status(first.ID, lifecycle.StatusRunning) // so the engine thinks
				next := w.ensure(request(""))
				if next.ID == first.ID || next.SandboxID == first.SandboxID {
					t.Errorf("%+v", next)
				}
				end := w.ended(first.ID, c.reason)
				if exited := c.reason != lease.Removed; exited != (end.Ended.ExitCode != nil) || end.Ended.OOMKilled != (c.reason == lease.OOMKilled) {
					t.Errorf("%+v", end.Ended)
				}
				if rec := record(t, w.store, first.ID); rec.State != lease.Ended || rec.Ended.Reason != c.reason {
					t.Errorf("on disk: %+v", rec)
				}
				if got, want := story(events(), first.ID), "deleting ended("+string(c.reason)+")"; got != want {
					t.Errorf("watchers were told %q, want %q", got, want)
				}
				if box := w.boxes(1)[0]; box.ID != next.SandboxID {
					t.Errorf("%+v", box)
				}
			})
		})
	}
}

// The dead one counts in the limits until it has ended: the new one waits for that.
func TestEnsureFindsItDeadAtTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.templates[0].limits = lifecycle.TemplateLimits{SessionsPerAgent: 1}
		w.start()
		first := w.ensure(request(""))
		w.unseen()
		w.mem.Exit(first.SandboxID, 1, false)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Delay: 5 * time.Second})
		c := w.ensureLater(t.Context(), request(""))
		w.pass(4 * time.Second)
		w.pending(c)
		w.pass(time.Second)
		if r := w.over(c); r.err != nil || r.session.ID == first.ID {
			t.Errorf("%+v, %v", r.session, r.err)
		}
		w.ended(first.ID, lease.Exited)
		w.boxes(1)

		other := request("")
		other.ChatID = "8d444840-9dc0-11d1-b245-5ffdce74fad2"
		_, err := w.engine.Ensure(t.Context(), other) // nothing of its chat is on its way out
		failed(t, err, lifecycle.CodeResourceExhausted, "limits.sessions_per_agent is 1")
	})
}

// A session that is stopping, stopped, being deleted or past its deadline is no chat's live
// one, also while its sandbox is still there.
func TestEnsureNotLive(t *testing.T) {
	slow := mem.Fault{Times: 1, Delay: 5 * time.Second}
	for name, c := range map[string]struct {
		leave func(w *world, id string)
		want  lifecycle.Status
	}{
		"stopping": {func(w *world, id string) {
			w.mem.Fail(mem.Stop, slow)
			later(func() (lifecycle.Session, error) { return w.engine.Stop(context.Background(), id) })
		}, lifecycle.StatusStopping},
		"stopped": {func(w *world, id string) {
			_, err := w.engine.Stop(w.t.Context(), id)
			w.must(err)
		}, lifecycle.StatusStopped},
		"deleting": {func(w *world, id string) {
			w.mem.Fail(mem.Delete, slow)
			w.deleteLater(id)
		}, lifecycle.StatusDeleting},
		"expired": {func(w *world, _ string) {
			w.mem.Fail(mem.Stop, slow)
			w.pass(5 * time.Minute)
		}, lifecycle.StatusStopping},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				first := w.ensure(request(""))
				c.leave(w, first.ID)
				w.status(first.ID, c.want)
				next := w.ensure(request(""))
				if next.ID == first.ID {
					t.Errorf("it answered with the one that is %s", c.want)
				}
				if s := w.get(first.ID); s.Status != c.want || !s.ExpiresAt.Equal(first.ExpiresAt) {
					t.Errorf("%+v", s)
				}
				w.pass(10 * time.Second)
				w.status(next.ID, lifecycle.StatusRunning)
			})
		})
	}
}

// One whose deadline has passed on a provider that is down is not in the way of a new one
// on another.
func TestEnsureExpiredElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.mem2 = mem.NewBackend("B")
		w.templates = append(w.templates, &template{name: "other", provider: "mem2", ttl: time.Hour})
		w.start()
		first := w.ensure(request(""))
		w.sup.stop(errors.New("the plugin died"))
		other := request("")
		other.Template = "other"
		w.pass(5*time.Minute - time.Nanosecond)
		_, err := w.engine.Ensure(t.Context(), other)
		failed(t, err, lifecycle.CodeConflict, "session "+first.ID+" of this chat has another template")
		w.pass(time.Nanosecond)
		if s := w.ensure(other); s.ID == first.ID || s.Provider != "mem2" {
			t.Errorf("%+v", s)
		}
		w.must(w.sup.start())
		w.pass(time.Minute)
		w.ended(first.ID, lease.Expired)
	})
}

// While the provider can't be asked there is no second sandbox, whatever is asked for.
func TestEnsureAway(t *testing.T) {
	down := errors.New("the daemon does not answer")
	for name, leave := range map[string]func(w *world){
		"away":          func(w *world) { w.sup.away() },
		"degraded":      func(w *world) { w.sup.degrade(down, false) },
		"changed":       func(w *world) { w.sup.degrade(errors.New("backend changed"), true) },
		"dead":          func(w *world) { w.sup.stop(down) },
		"misconfigured": func(w *world) { w.sup.set(func(st *lifecycle.BackendStatus) { st.State = lifecycle.Misconfigured }) },
		"starting":      func(w *world) { w.sup.set(func(st *lifecycle.BackendStatus) { st.State = lifecycle.Starting }) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				first := w.ensure(request(""))
				other := request("")
				other.ChatID = "8d444840-9dc0-11d1-b245-5ffdce74fad2"
				leave(w)
				for range 2 { // the second time it shows as unknown
					_, err := w.engine.Ensure(t.Context(), request(""))
					e := failed(t, err, lifecycle.CodeUnavailable, `ensure: provider "mem" is not ready`)
					if e.SessionID != first.ID || e.ChatID != chat {
						t.Errorf("%+v", e)
					}
					_, err = w.engine.Ensure(t.Context(), other)
					failed(t, err, lifecycle.CodeUnavailable, `ensure: provider "mem" is not ready`)
					w.pass(10 * time.Second)
					w.status(first.ID, lifecycle.StatusUnknown)
				}
				w.calls(mem.Create, 1)
				w.boxes(1)
				w.mem.SetAvailable(true)
				w.sup.stop(nil)
				w.must(w.sup.start())
				if s := w.ensure(request("")); s.ID != first.ID {
					t.Errorf("%+v", s)
				}
				w.boxes(1)
			})
		})
	}
}

// An answer that tells nothing ends nothing.
func TestEnsureGetFails(t *testing.T) {
	for name, fault := range map[string]mem.Fault{
		"unavailable": {Times: 1, Err: errAway},
		"internal":    {Times: 1, Err: errors.New("no")},
		"another":     {Times: 1, Lie: func(s *provider.Sandbox) { s.ID = "another" }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				first := w.ensure(request(""))
				w.pass(time.Minute)
				w.mem.Fail(mem.Get, fault)
				_, err := w.engine.Ensure(t.Context(), request(""))
				want := lifecycle.CodeInternal
				if name == "unavailable" {
					want = lifecycle.CodeUnavailable
				}
				if e := failed(t, err, want, "ensure: session "+first.ID+" of this chat could not be confirmed"); e.SessionID != first.ID {
					t.Errorf("%+v", e)
				}
				if s := w.status(first.ID, lifecycle.StatusRunning); !s.ExpiresAt.Equal(first.ExpiresAt) {
					t.Error("its deadline moved")
				}
				w.boxes(1)
				if s := w.ensure(request("")); s.ID != first.ID {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// NotFound from another backend is no absence.
func TestEnsureOtherBackendSaysNotFound(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Minute)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Err: provider.NotFound})
		w.mem.SetIdentity("B")
		_, err := w.engine.Ensure(t.Context(), request(""))
		failed(t, err, lifecycle.CodeUnavailable, "backend changed")
		w.status(first.ID, lifecycle.StatusRunning)
		w.boxes(1)
	})
}

// The provider does not answer: the caller's patience ends it, or the engine's own.
func TestEnsureGetHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.mem.Fail(mem.Get, mem.Fault{Hang: true})
		for _, patience := range []time.Duration{time.Second, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			begun := time.Now()
			_, err := w.engine.Ensure(ctx, request(""))
			cancel()
			failed(t, err, lifecycle.CodeUnavailable, "could not be confirmed")
			if d := time.Since(begun); d != min(patience, 10*time.Second) {
				t.Errorf("with %v to wait it took %v", patience, d)
			}
		}
		// One waits for the other, and leaves.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, b := w.ensureLater(t.Context(), request("")), w.ensureLater(ctx, request(""))
		w.pass(time.Second)
		failed(t, w.over(b).err, lifecycle.CodeUnavailable, "another operation on it is under way")
		w.pending(a)

		// The engine is not stuck: the session can be extended, and deleted at once.
		begun := time.Now()
		_, err := w.engine.Extend(t.Context(), first.ID, by(time.Minute))
		w.must(err)
		w.must(w.engine.Delete(t.Context(), first.ID))
		if d := time.Since(begun); d != 0 {
			t.Errorf("it took %v", d)
		}
		w.ended(first.ID, lease.Deleted)
		if r := w.over(a); r.err != nil || r.session.ID == first.ID {
			t.Errorf("%+v, %v", r.session, r.err)
		}
		w.boxes(1)
	})
}

// The deadline passes while Ensure asks: it is not held up, and a new one is made.
func TestEnsureMeetsTheDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Hang: true})
		w.pass(5*time.Minute - 3*time.Second)
		var all []<-chan result
		for range 3 {
			all = append(all, w.ensureLater(t.Context(), request("")))
		}
		w.pass(3*time.Second - time.Nanosecond)
		for _, c := range all {
			w.pending(c)
		}
		w.pass(time.Nanosecond)
		if end := w.ended(first.ID, lease.Expired); !end.Ended.At.Equal(first.ExpiresAt) {
			t.Errorf("it ended at %v, its deadline was %v", end.Ended.At, first.ExpiresAt)
		}
		next := w.over(all[0])
		w.must(next.err)
		for _, c := range all[1:] {
			if r := w.over(c); r.err != nil || r.session.ID != next.session.ID || r.session.ID == first.ID {
				t.Errorf("%+v, %v", r.session, r.err)
			}
		}
		if _, _, lags, _ := w.obs.all(); len(lags) != 1 || lags[0] != 0 {
			t.Errorf("lags %v", lags)
		}
		w.boxes(1)
	})
}

// The deadline was pushed while Ensure asked, so the old one ends nothing.
func TestEnsureDeadlinePushedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(5*time.Minute - 2*time.Second)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Delay: time.Second})
		c := w.ensureLater(t.Context(), request(""))
		_, err := w.engine.Extend(t.Context(), first.ID, by(time.Hour))
		w.must(err)
		w.pass(time.Second)
		if r := w.over(c); r.err != nil || r.session.ID != first.ID || !r.session.ExpiresAt.Equal(first.ExpiresAt.Add(time.Hour)) {
			t.Errorf("%+v, %v", r.session, r.err)
		}
	})
}

// A host that stops makes nothing new.
func TestEnsureWhileStopping(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Second)
		w.stop()
		w.mem.Vanish(first.SandboxID)
		for range 2 { // the dead one is found, and then there is none
			_, err := w.engine.Ensure(t.Context(), request(""))
			failed(t, err, lifecycle.CodeUnavailable, "the host is stopping")
		}
		w.calls(mem.Create, 1)
		w.restart()
		w.ended(first.ID, lease.Removed)
	})
}

// A sandbox that something outside has frozen is not ended, and not handed out.
func TestEnsurePaused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.SetState(s.SandboxID, provider.StatePaused)
		_, err := w.engine.Ensure(t.Context(), request(""))
		bad := failed(t, err, lifecycle.CodeUnavailable, "is paused")
		if bad.SessionID != id1 {
			t.Errorf("it names session %q", bad.SessionID)
		}
		w.boxes(1)
		w.mem.SetState(s.SandboxID, provider.StateRunning)
		again, err := w.engine.Ensure(t.Context(), request(""))
		if err != nil || again.ID != id1 {
			t.Errorf("%+v, %v", again, err)
		}
	})
}
