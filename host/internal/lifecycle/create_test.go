package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestCreateRunExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		events := w.watch()
		w.prober.set(3*time.Second, false)
		s := w.create(id1)
		if s.Status != lifecycle.StatusRunning || s.SandboxID == "" || s.Endpoint == nil || s.Endpoint.Port != 8000 {
			t.Fatalf("%+v", s)
		}
		if d := s.ExpiresAt.Sub(s.CreatedAt); d != 5*time.Minute {
			t.Errorf("it lives %v", d)
		}
		if rec := record(t, w.store, id1); rec.State != lease.Running || rec.SandboxID != s.SandboxID || rec.Identity != "A" {
			t.Errorf("lease: %+v", rec)
		}
		w.pass(5*time.Minute - 3*time.Second - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		end := w.ended(id1, lease.Expired)
		if !end.Ended.At.Equal(s.ExpiresAt) {
			t.Errorf("it ended at %v, its deadline was %v", end.Ended.At, s.ExpiresAt)
		}
		if end.Endpoint != nil || end.Ended.ExitCode == nil || *end.Ended.ExitCode != 143 {
			t.Errorf("%+v", end)
		}
		w.boxes(0)
		if got := story(events(), id1); got != "creating running stopping deleting ended(expired)" {
			t.Errorf("watchers were told: %s", got)
		}
		ops, ended, lags, _ := w.obs.all()
		if len(lags) != 1 || lags[0] != 0 || len(ended) != 1 {
			t.Errorf("lags %v, ended %v", lags, ended)
		}
		for _, op := range []string{"create created", "stop stopped", "delete deleted", "list_active listed"} {
			if !strings.Contains(strings.Join(ops, ","), op) {
				t.Errorf("no operation %q in %v", op, ops)
			}
		}
	})
}

func TestCreateCanonicalIDs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		req := request("{" + strings.ToUpper(id1) + "}")
		req.ChatID = "urn:uuid:" + strings.ToUpper(chat)
		req.Volume, req.Metadata = "/data", map[string]string{"a": "b"}
		s, err := w.engine.Create(t.Context(), req)
		w.must(err)
		req.Metadata["a"] = "changed by the caller"
		if s.ID != id1 || s.ChatID != chat || s.VolumeHostPath != "/resolved/data" || w.get(id1).Metadata["a"] != "b" {
			t.Errorf("%+v", s)
		}
		box := w.boxes(1)[0]
		if box.SessionID != id1 || box.ChatID != chat || box.Name != "berth-0123456789ab-"+id1 || !box.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("%+v", box)
		}
		again, err := w.engine.Create(t.Context(), req)
		if err != nil || again.ID != id1 {
			t.Errorf("%+v, %v", again, err)
		}
		w.calls(mem.Create, 1)
	})
}

// Where the host does not probe, the provider looks whether the command holds.
func TestCreateConfirmStart(t *testing.T) {
	for name, c := range map[string]struct {
		port  int
		ready lease.Ready
		want  bool
	}{
		"tcp":     {8000, lease.Ready{TCP: true}, false},
		"http":    {8000, lease.Ready{HTTP: "/healthz"}, false},
		"none":    {8000, lease.Ready{}, true},
		"no port": {0, lease.Ready{TCP: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.templates[0].port, w.templates[0].ready = c.port, c.ready
				w.start()
				w.create(id1)
				if n := len(w.sup.specs); n != 1 || w.sup.specs[0].ConfirmStart != c.want {
					t.Errorf("%d specs, confirm start %v, want %v", n, w.sup.specs[0].ConfirmStart, c.want)
				}
			})
		})
	}
}

func TestCreateMintsAnID(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.create(""), w.create("")
		if a.ID == "" || a.ID == b.ID {
			t.Errorf("ids %q and %q", a.ID, b.ID)
		}
		w.boxes(2)
	})
}

func TestCreateRequestedTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		req := request(id1)
		req.TTL = 90 * time.Second
		w.mem.Fail(mem.Prepare, mem.Fault{Delay: time.Minute, Times: 1}) // the deadline is fixed after it
		s, err := w.engine.Create(t.Context(), req)
		w.must(err)
		if d := time.Until(s.ExpiresAt); d > 90*time.Second || d < 90*time.Second-time.Microsecond {
			t.Errorf("it has %v to live", d)
		}
		w.pass(90 * time.Second)
		w.ended(id1, lease.Expired)
	})
}

func TestCreateAnswersThatChangeNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		other := request(id1)
		other.AgentID = "another"
		_, err := w.engine.Create(t.Context(), other)
		e := failed(t, err, lifecycle.CodeConflict, "session "+id1+" was made by another request")
		if e.Session == nil || e.Session.ID != id1 || e.ChatID != chat {
			t.Errorf("%+v", e)
		}
		w.must(w.engine.Delete(t.Context(), id1))
		_, err = w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeConflict, "session "+id1+" has ended: deleted")
		w.calls(mem.Create, 1)

		unknown := request(id2)
		unknown.Template = "nosuch"
		_, err = w.engine.Create(t.Context(), unknown)
		failed(t, err, lifecycle.CodeNotFound, `template "nosuch"`)
		outside := request(id2)
		outside.Volume = "/outside"
		_, err = w.engine.Create(t.Context(), outside)
		failed(t, err, lifecycle.CodeInvalidArgument, "volume: /outside")
		w.sup.away()
		_, err = w.engine.Create(t.Context(), request(id2))
		failed(t, err, lifecycle.CodeUnavailable, `provider "mem" is not ready`, "the daemon does not answer")
		w.sup.back()
		if _, err := w.engine.Get(id2); !errors.Is(err, lifecycle.CodeNotFound) {
			t.Errorf("a refused create left something: %v", err)
		}
		w.create(id2) // and a later try works
	})
}

func TestCreateWithoutEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.templates[0].port, w.templates[0].ready = 0, lease.Ready{}
		w.start()
		if s := w.create(id1); s.Endpoint != nil || s.Status != lifecycle.StatusRunning {
			t.Errorf("%+v", s)
		}
		if w.prober.count() != 0 {
			t.Error("it was probed")
		}
	})
}

func TestCreateLimits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxSessions = 5
		w.templates[0].limits = lifecycle.TemplateLimits{Sessions: 3, SessionsPerAgent: 2}
		w.templates = append(w.templates, &template{name: "small", provider: "mem", ttl: time.Minute})
		w.start()
		make := func(template, agent string) error {
			_, err := w.engine.Create(t.Context(), lifecycle.CreateRequest{ChatID: chat, Template: template, AgentID: agent})
			return err
		}
		w.must(make("default", "a"))
		w.must(make("default", "a"))
		failed(t, make("default", "a"), lifecycle.CodeResourceExhausted, "limits.sessions_per_agent is 2", `agent "a"`)
		w.must(make("default", "b"))
		failed(t, make("default", "c"), lifecycle.CodeResourceExhausted, "limits.sessions is 3")
		w.must(make("small", "a"))
		w.must(make("small", "a"))
		failed(t, make("small", "z"), lifecycle.CodeResourceExhausted, "max_sessions is 5")
		all, err := w.engine.List(lifecycle.Filter{AgentID: "b"})
		w.must(err)
		_, err = w.engine.Stop(t.Context(), all[0].ID)
		w.must(err)
		failed(t, make("small", "z"), lifecycle.CodeResourceExhausted, "max_sessions is 5") // stopped counts
		w.must(w.engine.Delete(t.Context(), all[0].ID))
		w.must(make("default", "c"))
		w.restart() // and what was counted is counted again
		failed(t, make("small", "z"), lifecycle.CodeResourceExhausted, "max_sessions is 5")
	})
}

func TestCreateSlots(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxCreating = 2
		w.mem2 = mem.NewBackend("B")
		w.templates = append(w.templates, &template{name: "other", provider: "mem2", ttl: time.Minute})
		w.start()
		hold := make(chan struct{})
		w.mem.Fail(mem.Create, mem.Fault{Hold: hold})
		first, second := w.createLater(t.Context(), ""), w.createLater(t.Context(), "")

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		third := w.createLater(ctx, id3)
		w.calls(mem.Create, 2)
		w.pass(3 * time.Second)
		failed(t, w.over(third).err, lifecycle.CodeResourceExhausted, "max_creating is 2")
		w.ended(id3, lease.Failed)
		w.calls(mem.Prepare, 2)

		// A hung provider does not use up another's slots.
		_, err := w.engine.Create(t.Context(), lifecycle.CreateRequest{ChatID: chat, Template: "other"})
		w.must(err)

		fourth := w.createLater(t.Context(), id3) // the same id again, since it has failed
		w.pending(fourth)
		close(hold)
		for _, c := range []<-chan result{first, second, fourth} {
			w.must(w.over(c).err)
		}
		w.boxes(3)
	})
}

// The caller of a create may leave: with an id of its own it can join again.
func TestCreateCallerLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(10*time.Second, false)
		for _, id := range []string{id1, ""} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			c := w.createLater(ctx, id)
			w.pass(time.Second)
			cancel()
			word := "joins it"
			if id == "" {
				word = "torn down"
			}
			failed(t, w.over(c).err, lifecycle.CodeUnavailable, word)
		}
		w.status(id1, lifecycle.StatusCreating)
		w.boxes(1) // the minted one is gone
		join := w.createLater(t.Context(), id1)
		w.pending(join)
		w.pass(8 * time.Second)
		if r := w.over(join); r.err != nil || r.session.Status != lifecycle.StatusRunning {
			t.Errorf("%+v, %v", r.session, r.err)
		}
		w.calls(mem.Create, 2)
		w.ended(theOther(t, w, id1), lease.Failed)
	})
}

// A caller with a minted id may leave at any instant: it either has the session, or nothing
// of it is left.
func TestCreateCallerLeavesAtAnyInstant(t *testing.T) {
	for i := range 24 {
		ms := i / 2
		bubble(t, func(t *testing.T, w *world) {
			if i%2 == 0 {
				w.templates[0].port = 0
			}
			w.start()
			w.store.Delay(2 * time.Millisecond)
			w.mem.Fail(mem.Prepare, mem.Fault{Delay: 2 * time.Millisecond})
			w.mem.Fail(mem.Create, mem.Fault{Delay: 2 * time.Millisecond, After: true})
			w.prober.set(2*time.Millisecond, false)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms)*time.Millisecond)
			defer cancel()
			_, err := w.engine.Create(ctx, request(""))
			w.pass(time.Second)
			if err == nil {
				w.boxes(1)
				return
			}
			w.boxes(0)
			list, _ := w.engine.List(lifecycle.Filter{})
			if len(list) != 0 {
				t.Errorf("after %d ms: %v left %+v", ms, err, list)
			}
		})
	}
}

func theOther(t *testing.T, w *world, not string) string {
	t.Helper()
	list, err := w.engine.List(lifecycle.Filter{All: true})
	w.must(err)
	for _, s := range list {
		if s.ID != not {
			return s.ID
		}
	}
	t.Fatal("there is no other session")
	return ""
}

// The provider says that it can't be asked after it has made the sandbox, or before.
func TestCreateUnknownOutcome(t *testing.T) {
	lost := &provider.Error{Class: provider.Unavailable, Op: "create", Message: "the answer was lost"}
	for name, c := range map[string]struct {
		fault   mem.Fault
		creates int
	}{
		"made":     {mem.Fault{Times: 1, After: true, Err: lost}, 1},
		"not made": {mem.Fault{Times: 1, Err: lost}, 2},
		"canceled": {mem.Fault{Times: 1, After: true, Err: &provider.Error{Class: provider.Canceled, Message: "?"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.mem.Fail(mem.Create, c.fault)
				s := w.create(id1)
				if box := w.boxes(1)[0]; box.ID != s.SandboxID {
					t.Errorf("%s and %s", box.ID, s.SandboxID)
				}
				w.calls(mem.Create, c.creates)
				w.calls(mem.Get, 1)
			})
		})
	}
}

// The plugin dies while it creates, after the daemon has begun to do it.
func TestCreateGenerationDies(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		c := w.createLater(t.Context(), id1)
		w.boxes(1)
		w.sup.stop(errors.New("the plugin died"))
		w.pass(time.Second)
		w.pending(c)
		w.must(w.sup.start())
		w.must(w.over(c).err)
		w.boxes(1)
		w.calls(mem.Create, 1)
	})
}

// It does not come back in time: the caller hears it, and what was made goes later.
func TestCreateGenerationStaysDead(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		c := w.createLater(t.Context(), id1)
		w.sup.stop(errors.New("the plugin died"))
		w.pass(10 * time.Second)
		failed(t, w.over(c).err, lifecycle.CodeUnavailable, "the plugin died")
		w.status(id1, lifecycle.StatusUnknown)
		if rec := record(t, w.store, id1); rec.State != lease.Deleting || rec.Reason != lease.Failed {
			t.Errorf("%+v", rec)
		}
		_, err := w.engine.Create(t.Context(), request(id1)) // the clean-up has to wait for the provider
		failed(t, err, lifecycle.CodeUnavailable, "the plugin died")
		w.boxes(1)
		w.must(w.sup.start())
		synctest.Wait()
		w.create(id1)
		w.boxes(1)
		w.calls(mem.Create, 2)
	})
}

func TestCreateTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.CreateTimeout = 2 * time.Minute
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Hang: true})
		c := w.createLater(t.Context(), id1)
		w.pass(2*time.Minute - time.Nanosecond)
		w.pending(c)
		w.pass(time.Nanosecond)
		failed(t, w.over(c).err, lifecycle.CodeSandboxStartFailed, "create_timeout of 2m0s passed")
		w.ended(id1, lease.Failed)
		w.boxes(0)
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Hang: true})
		c = w.createLater(t.Context(), id1)
		w.pass(2 * time.Minute)
		failed(t, w.over(c).err, lifecycle.CodeSandboxStartFailed, "create_timeout of 2m0s passed")
		w.create(id1)
	})
}

// A session on its way out is nobody's to create, and a failed one only when it is gone.
func TestCreateDuringTheCleanUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.mem.Fail(mem.Delete, mem.Fault{Times: 1, Delay: 10 * time.Second})
		w.deleteLater(id1)
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeConflict, "session "+id1+" is being torn down: deleted")

		w.mem.Clear()
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Err: errors.New("no")})
		w.mem.Fail(mem.Delete, mem.Fault{Times: 2, Err: errors.New("device busy")})
		_, err = w.engine.Create(t.Context(), request(id2))
		failed(t, err, lifecycle.CodeSandboxStartFailed, "no")
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = w.engine.Create(ctx, request(id2))
		failed(t, err, lifecycle.CodeUnavailable, "an earlier try of this session is still being cleaned up")
		again := w.createLater(t.Context(), id2)
		w.pending(again)
		w.pass(3 * time.Second)
		w.must(w.over(again).err)
		w.pass(10 * time.Second)
		w.boxes(1)
	})
}

// TestCreateTakesAsLongAsItsCalls wants neither the host's own work nor the wait for
// readiness in the duration of a create.
func TestCreateTakesAsLongAsItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.templates[0].specTime = 4 * time.Second
		w.prober.set(8*time.Second, false)
		w.start()
		w.mem.Fail(mem.Prepare, mem.Fault{Delay: time.Second})
		w.mem.Fail(mem.Create, mem.Fault{Delay: 2 * time.Second})
		w.create(id1)
		w.obs.mu.Lock()
		defer w.obs.mu.Unlock()
		if i := slices.Index(w.obs.ops, "create created"); i < 0 || w.obs.took[i] != 3*time.Second {
			t.Errorf("%v took %v, want 3s for the create", w.obs.ops, w.obs.took)
		}
	})
}
