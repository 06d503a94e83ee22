package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestWatchSnapshotAndEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		w.create(id2)
		w.must(w.engine.Delete(t.Context(), id2))
		early := w.watch()
		all := early()
		var types []string
		for _, ev := range all {
			types = append(types, fmt.Sprintf("%s %s", ev.Type, ev.Session.Status))
			if ev.Seq != all[0].Seq {
				t.Errorf("the snapshot's events bear %d and %d", all[0].Seq, ev.Seq)
			}
		}
		slices.Sort(types)
		if got := fmt.Sprint(types); got != "[snapshot ended snapshot running synced ]" {
			t.Error(got)
		}
		if all[len(all)-1].Type != lifecycle.EventSynced {
			t.Error("synced does not end the snapshot")
		}
		w.create(id3)
		_, err := w.engine.Extend(t.Context(), id3, by(time.Minute))
		w.must(err)
		w.must(w.engine.Delete(t.Context(), id3))
		rest := early()[len(all):]
		for i, ev := range rest {
			if ev.Seq != all[0].Seq+uint64(i)+1 || ev.Type != lifecycle.EventChanged || ev.Session.ID != id3 {
				t.Errorf("event %d: %+v", i, ev)
			}
		}
		if got := story(rest, id3); got != "creating running deleting ended(deleted)" {
			t.Error(got)
		}
	})
}

// Watchers that begin at any moment see every session's end, in a snapshot or in an event,
// and what they were told adds up to what is.
func TestWatchIsGapless(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.store.Delay(time.Millisecond)
		w.mem.Fail(mem.Delete, mem.Fault{Delay: time.Millisecond})
		var watchers []func() []lifecycle.Event
		for range 40 {
			go func() {
				if s, err := w.engine.Create(context.Background(), request("")); err == nil {
					_ = w.engine.Delete(context.Background(), s.ID)
				}
			}()
			watchers = append(watchers, w.watch())
			w.pass(500 * time.Microsecond)
		}
		w.pass(time.Second)
		for i, events := range watchers {
			state := map[string]lifecycle.Status{}
			seq := uint64(0)
			for _, ev := range events() {
				if ev.Type == lifecycle.EventChanged && seq != 0 && ev.Seq != seq+1 {
					t.Fatalf("watcher %d: %d comes after %d", i, ev.Seq, seq)
				}
				seq = ev.Seq
				if ev.Session.ID != "" {
					state[ev.Session.ID] = ev.Session.Status
				}
			}
			if len(state) != 40 {
				t.Errorf("watcher %d heard of %d sessions", i, len(state))
			}
			for id, status := range state {
				if status != lifecycle.StatusEnded {
					t.Errorf("watcher %d has %s as %s", i, id, status)
				}
			}
		}
	})
}

// A watcher that does not read never holds the engine up. It is cut off with resync.
func TestWatchSlowReader(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		release := make(chan struct{})
		var got []lifecycle.Event
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ev := range w.engine.Watch(ctx) {
				got = append(got, ev)
				<-release
			}
		}()
		synctest.Wait()
		for range 2000 {
			_, err := w.engine.Extend(t.Context(), id1, by(time.Microsecond))
			w.must(err)
		}
		close(release)
		<-done // although ctx is not done
		if n := len(got); n != 2+1024+1 {
			t.Errorf("%d events", n)
		}
		for i, ev := range got[2 : len(got)-1] {
			if ev.Seq != got[0].Seq+uint64(i)+1 {
				t.Fatalf("event %d bears %d", i, ev.Seq)
			}
		}
		if last := got[len(got)-1]; last.Type != lifecycle.EventResync || last.Session.ID != "" {
			t.Errorf("%+v", last)
		}
	})
}

func TestWatchCanBeLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		for stop := range 2 {
			n := 0
			for range w.engine.Watch(t.Context()) {
				if n == stop {
					break
				}
				n++
			}
		}
		w.must(w.engine.Delete(t.Context(), id1)) // no watcher is left to be told
	})
}

func TestList(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		other := "8d444840-9dc0-11d1-b245-5ffdce74fad2"
		w.create(id1)
		w.pass(time.Second)
		req := request(id2)
		req.ChatID, req.AgentID = other, "b"
		_, err := w.engine.Create(t.Context(), req)
		w.must(err)
		w.create(id3)
		w.must(w.engine.Delete(t.Context(), id3))
		for name, c := range map[string]struct {
			filter lifecycle.Filter
			ids    []string
		}{
			"living":      {lifecycle.Filter{}, []string{id1, id2}},
			"all":         {lifecycle.Filter{All: true}, []string{id1, id2, id3}},
			"chat":        {lifecycle.Filter{ChatID: "{" + other + "}"}, []string{id2}},
			"agent":       {lifecycle.Filter{AgentID: "b"}, []string{id2}},
			"template":    {lifecycle.Filter{Template: "nosuch"}, nil},
			"status":      {lifecycle.Filter{Status: lifecycle.StatusRunning}, []string{id1, id2}},
			"ended":       {lifecycle.Filter{Status: lifecycle.StatusEnded}, []string{id3}},
			"ended, chat": {lifecycle.Filter{Status: lifecycle.StatusEnded, ChatID: other}, nil},
		} {
			got, err := w.engine.List(c.filter)
			w.must(err)
			var ids []string
			for _, s := range got {
				ids = append(ids, s.ID)
			}
			if got == nil || !slices.Equal(ids, c.ids) {
				t.Errorf("%s: %v, want %v", name, ids, c.ids)
			}
		}
		_, err = w.engine.List(lifecycle.Filter{ChatID: "x"})
		failed(t, err, lifecycle.CodeInvalidArgument, `list: chat_id: "x" is not a UUID`)
		_, err = w.engine.List(lifecycle.Filter{Status: "dead"})
		failed(t, err, lifecycle.CodeInvalidArgument, `list: status: "dead" is none; give one of creating`)
		_, err = w.engine.Get("x")
		failed(t, err, lifecycle.CodeInvalidArgument, `get: session_id: "x" is not a UUID`)
		w.ended(id3, lease.Deleted)
	})
}

// Progress with an image reaches the watchers in its place, and touches no session.
func TestWatchProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		events := w.watch()
		begun := len(events())
		w.mem.Emit(provider.Event{Kind: provider.EventProgress, SessionID: id1, SandboxID: s.SandboxID, Image: "sandbox:latest", Message: "3 of 5 layers"})
		w.pass(time.Second)
		w.create(id2)
		rest := events()[begun:]
		if len(rest) < 2 {
			t.Fatalf("%+v", rest)
		}
		ev := rest[0]
		if ev.Type != lifecycle.EventProgress || ev.Progress == nil || ev.Session.ID != "" ||
			*ev.Progress != (api.Progress{Provider: "mem", Image: "sandbox:latest", Message: "3 of 5 layers"}) {
			t.Errorf("%+v with %+v", ev, ev.Progress)
		}
		for i, ev := range rest {
			if ev.Seq != rest[0].Seq+uint64(i) || i > 0 && (ev.Progress != nil || ev.Type != lifecycle.EventChanged) {
				t.Errorf("event %d: %+v", i, ev)
			}
		}
		w.calls(mem.Get, 0) // it says nothing about a sandbox
		for ev := range w.engine.Watch(t.Context()) {
			if ev.Type == lifecycle.EventProgress {
				t.Error("it is in the snapshot")
			}
			if ev.Type == lifecycle.EventSynced {
				break
			}
		}
	})
}
