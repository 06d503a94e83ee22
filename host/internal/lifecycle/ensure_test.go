package lifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// ensure answers with the chat's session and fails the test when that fails.
func (w *world) ensure(r lifecycle.CreateRequest) lifecycle.Session {
	w.t.Helper()
	s, err := w.engine.Ensure(w.t.Context(), r)
	w.must(err)
	if s.Status != lifecycle.StatusRunning {
		w.t.Fatalf("what was ensured is %s: %+v", s.Status, s)
	}
	synctest.Wait()
	return s
}

func (w *world) ensureLater(ctx context.Context, r lifecycle.CreateRequest) <-chan result {
	return later(func() (lifecycle.Session, error) { return w.engine.Ensure(ctx, r) })
}

// unseen breaks the events, so that what happens from now on is not told.
func (w *world) unseen() {
	w.mem.Fail(mem.Events, mem.Fault{Hang: true})
	w.mem.BreakEvents()
	w.pass(3 * time.Second) // the sweep that a broken stream brings
}

func withTTL(r lifecycle.CreateRequest, ttl time.Duration) lifecycle.CreateRequest {
	r.TTL = ttl
	return r
}

func TestEnsureMakesOneThenAnswersWithIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		if d := first.ExpiresAt.Sub(first.CreatedAt); d != 5*time.Minute || first.Endpoint == nil {
			t.Errorf("%+v", first)
		}
		w.calls(mem.Get, 0)
		w.pass(4 * time.Minute)
		again := w.ensure(request(""))
		w.calls(mem.Get, 1)
		w.calls(mem.Create, 1)
		w.boxes(1)
		if again.ID != first.ID || again.SandboxID != first.SandboxID || time.Until(again.ExpiresAt) != 5*time.Minute {
			t.Errorf("%+v, and it has %v to live", again, time.Until(again.ExpiresAt))
		}
		if rec := record(t, w.store, first.ID); !rec.ExpiresAt.Equal(again.ExpiresAt) {
			t.Errorf("on disk %v, answered %v", rec.ExpiresAt, again.ExpiresAt)
		}
		w.pass(5*time.Minute - time.Nanosecond)
		w.status(first.ID, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(first.ID, lease.Expired)
	})
}

func TestEnsureNeverShortens(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		long := w.ensure(withTTL(request(""), time.Hour))
		writes := w.store.Writes()
		w.pass(time.Minute)
		events := w.watch()
		before := len(events())
		for _, ttl := range []time.Duration{0, time.Minute, 59 * time.Minute} {
			if s := w.ensure(withTTL(request(""), ttl)); s.ID != long.ID || !s.ExpiresAt.Equal(long.ExpiresAt) {
				t.Errorf("ttl %v: %+v, it was %v", ttl, s, long.ExpiresAt)
			}
		}
		if n := w.store.Writes() - writes; n != 0 {
			t.Errorf("%d writes for a deadline that stays", n)
		}
		if told := events()[before:]; len(told) != 0 {
			t.Errorf("watchers were told: %+v", told)
		}
		if s := w.ensure(withTTL(request(""), time.Hour)); s.ExpiresAt.Sub(long.ExpiresAt) != time.Minute {
			t.Errorf("%v, it was %v", s.ExpiresAt, long.ExpiresAt)
		}
		if n := w.store.Writes() - writes; n != 1 {
			t.Errorf("%d writes for one deadline", n)
		}
	})
}

func TestEnsureStaysWithinMaxLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxLifetime = 12 * time.Minute
		w.start()
		first := w.ensure(request(""))
		end := first.CreatedAt.Add(12 * time.Minute)
		for i, want := range []time.Time{first.CreatedAt.Add(9 * time.Minute), end} {
			w.pass(4 * time.Minute)
			if s := w.ensure(request("")); s.ID != first.ID || !s.ExpiresAt.Equal(want) {
				t.Errorf("step %d: %v, want %v", i, s.ExpiresAt, want)
			}
		}
		w.pass(3 * time.Minute)
		writes := w.store.Writes()
		if s := w.ensure(request("")); !s.ExpiresAt.Equal(end) || w.store.Writes() != writes {
			t.Errorf("%v after %d writes", s.ExpiresAt, w.store.Writes()-writes)
		}
		w.pass(time.Minute)
		w.ended(first.ID, lease.Expired)
		if s := w.ensure(request("")); s.ID == first.ID {
			t.Error("what has ended was answered")
		}
	})
}

// The new deadline is on disk before the caller hears of it, and before anybody sees it.
func TestEnsureWritesFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Minute)
		release := w.store.Hold()
		c := w.ensureLater(t.Context(), request(""))
		w.pass(5 * time.Second)
		w.pending(c)
		if s := w.get(first.ID); !s.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("%v is shown, and %v on disk", s.ExpiresAt, first.ExpiresAt)
		}
		release()
		r := w.over(c)
		w.must(r.err)
		if rec := record(t, w.store, first.ID); r.session.ID != first.ID || !rec.ExpiresAt.After(first.ExpiresAt) || !rec.ExpiresAt.Equal(r.session.ExpiresAt) {
			t.Errorf("answered %v, on disk %v", r.session.ExpiresAt, rec.ExpiresAt)
		}
		w.restart()
		if s := w.status(first.ID, lifecycle.StatusRunning); !s.ExpiresAt.Equal(r.session.ExpiresAt) {
			t.Errorf("after a crash %v, acknowledged %v", s.ExpiresAt, r.session.ExpiresAt)
		}
	})
}

func TestEnsureStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Minute)
		w.store.Fail(leaseFault(1))
		_, err := w.engine.Ensure(t.Context(), request(""))
		e := failed(t, err, lifecycle.CodeUnavailable, "ensure: the new deadline could not be written", "no space left on device")
		if e.SessionID != first.ID || e.ChatID != chat {
			t.Errorf("%+v", e)
		}
		if s := w.status(first.ID, lifecycle.StatusRunning); !s.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("%v, it was %v", s.ExpiresAt, first.ExpiresAt)
		}
		w.boxes(1)
		if s := w.ensure(request("")); s.ID != first.ID || time.Until(s.ExpiresAt) != 5*time.Minute {
			t.Errorf("%+v", s)
		}
		w.boxes(1)
	})
}

func TestEnsureAnotherRequest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.templates = append(w.templates, &template{name: "small", provider: "mem", ttl: time.Hour})
		w.start()
		first := w.ensure(request(""))
		w.pass(time.Minute)
		writes := w.store.Writes()
		for word, change := range map[string]func(*lifecycle.CreateRequest){
			`another template: "default"`: func(r *lifecycle.CreateRequest) { r.Template = "small" },
			`another agent_id: "agent-7"`: func(r *lifecycle.CreateRequest) { r.AgentID = "agent-8" },
			`another volume: ""`:          func(r *lifecycle.CreateRequest) { r.Volume = "/data" },
		} {
			req := request("")
			change(&req)
			_, err := w.engine.Ensure(t.Context(), req)
			e := failed(t, err, lifecycle.CodeConflict, "ensure: session "+first.ID+" of this chat has "+word)
			if e.SessionID != first.ID || e.Session == nil || e.Session.ID != first.ID || !e.Session.ExpiresAt.Equal(first.ExpiresAt) {
				t.Errorf("%+v with %+v", e, e.Session)
			}
		}
		if s := w.status(first.ID, lifecycle.StatusRunning); !s.ExpiresAt.Equal(first.ExpiresAt) || w.store.Writes() != writes {
			t.Errorf("%+v, after %d writes", s, w.store.Writes()-writes)
		}
		w.boxes(1)
		other := request("")
		other.ChatID, other.AgentID = "8d444840-9dc0-11d1-b245-5ffdce74fad2", "agent-8"
		if s := w.ensure(other); s.ID == first.ID {
			t.Error("it is another chat's")
		}
		same := request("")
		same.ChatID, same.Metadata = "{"+chat+"}", map[string]string{"k": "v"} // neither makes it another
		if s := w.ensure(same); s.ID != first.ID {
			t.Errorf("%+v", s)
		}
	})
}

func TestEnsureInvalid(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.ensure(request(""))
		for word, change := range map[string]func(*lifecycle.CreateRequest){
			"ensure: chat_id":    func(r *lifecycle.CreateRequest) { r.ChatID = "x" },
			"ensure: session_id": func(r *lifecycle.CreateRequest) { r.SessionID = "x" },
			"ensure: ttl":        func(r *lifecycle.CreateRequest) { r.TTL = 25 * time.Hour },
		} {
			req := request("")
			change(&req)
			_, err := w.engine.Ensure(t.Context(), req)
			failed(t, err, lifecycle.CodeInvalidArgument, word)
		}
		w.calls(mem.Get, 0)
	})
}

// A session id is used for a new one, and never twice.
func TestEnsureWithASessionID(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		if s := w.ensure(request(id1)); s.ID != id1 {
			t.Errorf("%+v", s)
		}
		for _, id := range []string{id1, id2} { // the chat has one
			if s := w.ensure(request(id)); s.ID != id1 {
				t.Errorf("%s brought %s", id, s.ID)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conflict := func(word string) {
			t.Helper()
			begun := time.Now()
			_, err := w.engine.Ensure(ctx, request(id1))
			e := failed(t, err, lifecycle.CodeConflict, "ensure: session "+id1+" "+word)
			if e.Session == nil || e.Session.ID != id1 || time.Since(begun) != 0 {
				t.Errorf("%+v after %v", e, time.Since(begun))
			}
		}
		_, err := w.engine.Stop(t.Context(), id1)
		w.must(err)
		conflict("is stopped")
		w.must(w.engine.Delete(t.Context(), id1))
		conflict("has ended: deleted")
		if s := w.ensure(request(id2)); s.ID != id2 {
			t.Errorf("%+v", s)
		}
		w.must(w.engine.Delete(t.Context(), id2))
		if s := w.ensure(request("")); s.ID == id1 || s.ID == id2 {
			t.Errorf("%+v", s)
		}
		w.boxes(1)

		// One that has failed may be tried again.
		req := request(id3)
		req.ChatID = "8d444840-9dc0-11d1-b245-5ffdce74fad2"
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: errAway})
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: errAway})
		_, err = w.engine.Ensure(t.Context(), req)
		failed(t, err, lifecycle.CodeUnavailable)
		if s := w.ensure(req); s.ID != id3 {
			t.Errorf("%+v", s)
		}
	})
}

// A chat may have two by plain creates. The newest is taken, also one that is just being made.
func TestEnsureTakesTheNewest(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id2)
		w.pass(time.Second)
		w.create(id1)
		w.pass(time.Second)
		w.create(id3)
		if s := w.ensure(request("")); s.ID != id3 {
			t.Errorf("it is %s", s.ID)
		}
		w.must(w.engine.Delete(t.Context(), id3))
		if s := w.ensure(request("")); s.ID != id1 {
			t.Errorf("it is %s", s.ID)
		}
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Delay: time.Second})
		c := w.createLater(t.Context(), "")
		e := w.ensureLater(t.Context(), request(""))
		w.pass(time.Second)
		made, got := w.over(c), w.over(e)
		if made.err != nil || got.err != nil || got.session.ID != made.session.ID {
			t.Errorf("made %+v %v, got %+v %v", made.session, made.err, got.session, got.err)
		}
		w.boxes(3)
	})
}

// The sandbox was restarted outside and answers elsewhere.
func TestEnsureAnswersWhereItIsNow(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.pass(time.Minute)
		w.mem.Fail(mem.Get, mem.Fault{Times: 1, Lie: func(s *provider.Sandbox) { s.Endpoint = &provider.Endpoint{IP: "10.0.0.9", Port: 8000} }})
		if s := w.ensure(request("")); s.ID != first.ID || s.Endpoint == nil || s.Endpoint.IP != "10.0.0.9" {
			t.Errorf("%+v", s)
		}
	})
}

// A template that is no longer in the configuration: its session goes on as it is.
func TestEnsureTemplateGone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.ensure(request(""))
		w.crash()
		w.templates[0].name = "renamed"
		w.start()
		w.pass(time.Minute)
		if s := w.ensure(request("")); s.ID != first.ID || !s.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("%+v", s)
		}
		if s := w.ensure(withTTL(request(""), 10*time.Minute)); s.ID != first.ID || time.Until(s.ExpiresAt) != 10*time.Minute {
			t.Errorf("%+v", s)
		}
		w.must(w.engine.Delete(t.Context(), first.ID))
		_, err := w.engine.Ensure(t.Context(), request(""))
		failed(t, err, lifecycle.CodeNotFound, `ensure: template "default"`)
	})
}
