package mem_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestNameConflict(t *testing.T) {
	b := mem.NewBackend("b")
	p := b.Provider()
	first := create(t, p, spec(1))
	if first.Outcome != provider.OutcomeCreated || first.Identity != "b" || first.Sandbox.State != provider.StateRunning ||
		*first.Sandbox.Endpoint != (provider.Endpoint{IP: "127.0.0.1", Port: 8000}) {
		t.Errorf("created %+v", first)
	}
	again := create(t, p, spec(1))
	if again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != first.Sandbox.ID {
		t.Errorf("the same again: %+v", again)
	}
	for what, change := range map[string]func(*provider.Spec){
		"another owner":   func(s *provider.Spec) { s.Owner = "x" },
		"another session": func(s *provider.Spec) { s.SessionID = "x" },
		"another hash":    func(s *provider.Spec) { s.RequestHash = "x" },
	} {
		s := spec(1)
		change(&s)
		_, err := p.Create(t.Context(), s)
		is(t, what, err, provider.Conflict)
	}
	b.PutUnreadable(provider.Unreadable{ID: "bad", Owner: "owner", Reason: "r"})
	s := spec(2)
	s.Name = "put-bad"
	_, err := p.Create(t.Context(), s)
	is(t, "unreadable", err, provider.Conflict)
	if got := b.Sandboxes(); len(got) != 2 || got[0].ID != first.Sandbox.ID {
		t.Errorf("a conflict touched something: %+v", got)
	}

	b.Exit(first.Sandbox.ID, 1, false)
	fresh := create(t, p, spec(1))
	if fresh.Outcome != provider.OutcomeCreated || fresh.Sandbox.ID == first.Sandbox.ID {
		t.Errorf("after its end: %+v", fresh)
	}
	_, err = p.Get(t.Context(), provider.Ref{ID: first.Sandbox.ID})
	is(t, "the old incarnation", err, provider.NotFound)
}

func TestOneNameOneSandbox(t *testing.T) {
	b := mem.NewBackend("b")
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[provider.Outcome]int{}
	for range 20 {
		wg.Go(func() {
			c, err := b.Provider().Create(context.Background(), spec(1))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[c.Outcome]++
		})
	}
	wg.Wait()
	if outcomes[provider.OutcomeCreated] != 1 || outcomes[provider.OutcomeAdopted] != 19 || len(b.Sandboxes()) != 1 {
		t.Errorf("%v, %d sandboxes", outcomes, len(b.Sandboxes()))
	}
}

func TestCreateRefuses(t *testing.T) {
	b := mem.NewBackend("b")
	for field, change := range map[string]func(*provider.Spec){
		"name":         func(s *provider.Spec) { s.Name = "" },
		"owner":        func(s *provider.Spec) { s.Owner = "" },
		"session_id":   func(s *provider.Spec) { s.SessionID = "" },
		"request_hash": func(s *provider.Spec) { s.RequestHash = "" },
		"digest":       func(s *provider.Spec) { s.Digest = "" },
		"config":       func(s *provider.Spec) { s.Config = []byte(`{"nonsense":1}`) },
	} {
		s := spec(1)
		change(&s)
		_, err := b.Provider().Create(t.Context(), s)
		is(t, field, err, provider.InvalidArgument)
		if err != nil && !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if left := b.Sandboxes(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestFence(t *testing.T) {
	for _, c := range []struct {
		what           string
		owner, session string // of the sandbox
		fence          provider.Fence
		refused        bool
	}{
		{"its own", "owner", "session-1", fence(1), false},
		{"its own, adopted too", "owner", "session-1", provider.Fence{Owner: "owner", SessionID: "session-1", Adopted: true}, false},
		{"another owner", "other", "session-1", fence(1), true},
		{"another owner, adopted", "other", "session-1", provider.Fence{Owner: "owner", SessionID: "session-1", Adopted: true}, true},
		{"another session", "owner", "session-2", fence(1), true},
		{"no owner", "", "session-1", fence(1), true},
		{"no owner, adopted", "", "session-1", provider.Fence{Owner: "owner", SessionID: "session-1", Adopted: true}, false},
		{"no owner, adopted, another session", "", "session-2", provider.Fence{Owner: "owner", SessionID: "session-1", Adopted: true}, true},
		{"no session label", "owner", "", fence(1), false},
		{"an empty fence", "owner", "session-1", provider.Fence{}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := mem.NewBackend("b")
			p := b.Provider()
			id := b.Put(provider.Sandbox{Owner: c.owner, SessionID: c.session})
			_, stop := p.Stop(t.Context(), provider.StopRequest{ID: id, Fence: c.fence})
			if c.refused {
				is(t, "stop", stop, provider.Conflict)
				if got := b.Sandboxes(); len(got) != 1 || got[0].State != provider.StateRunning {
					t.Errorf("stop touched it: %+v", got)
				}
			} else if stop != nil {
				t.Errorf("stop: %v", stop)
			}
			_, del := p.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: c.fence})
			if c.refused {
				is(t, "delete", del, provider.Conflict)
			} else if del != nil {
				t.Errorf("delete: %v", del)
			}
			if left := len(b.Sandboxes()); (left == 1) != c.refused {
				t.Errorf("%d sandboxes are left", left)
			}
		})
	}
}

func TestEnding(t *testing.T) {
	b := mem.NewBackend("b")
	p := b.Provider()
	id := create(t, p, spec(1)).Sandbox.ID
	for range 2 { // also when it was stopped already
		s, err := p.Stop(t.Context(), provider.StopRequest{ID: id, Fence: fence(1)})
		if err != nil || s.Outcome != provider.OutcomeStopped || s.Exit == nil || s.Exit.Code != 143 {
			t.Errorf("stopped %+v, %v", s, err)
		}
	}
	got, err := p.Get(t.Context(), provider.Ref{Name: spec(1).Name})
	if err != nil || got.State != provider.StateExited || got.Endpoint != nil || got.Exit == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, want := range []provider.Outcome{provider.OutcomeDeleted, provider.OutcomeNotFound} {
		if d, err := p.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence(1)}); err != nil || d.Outcome != want {
			t.Errorf("deleted %+v, %v; want %s", d, err, want)
		}
	}
	if s, err := p.Stop(t.Context(), provider.StopRequest{ID: id}); err != nil || s.Outcome != provider.OutcomeNotFound {
		t.Errorf("stopped %+v, %v", s, err)
	}
}

func TestList(t *testing.T) {
	b := mem.NewBackend("b")
	p := b.Provider()
	mine := create(t, p, spec(1)).Sandbox.ID
	foreign := b.Put(provider.Sandbox{Owner: "other", SessionID: "s"})
	b.PutUnreadable(provider.Unreadable{ID: "bad", Owner: "owner", Reason: "expires_at"})
	b.Exit(mine, 137, true)
	ids, s, err := list(t.Context(), p)
	if err != nil || strings.Join(ids, " ") != mine+" "+foreign || s.Total != 3 || len(s.Unreadable) != 1 || s.Unreadable[0].ID != "bad" {
		t.Errorf("%v, %+v, %v", ids, s, err)
	}
	if got, err := p.Get(t.Context(), provider.Ref{ID: mine}); err != nil || !got.Exit.OOMKilled || got.Exit.Code != 137 {
		t.Errorf("%+v, %v", got, err)
	}
	b.SetAvailable(false)
	ids, _, err = list(t.Context(), p)
	is(t, "away", err, provider.Unavailable)
	if len(ids) != 0 {
		t.Errorf("listed %v while away", ids)
	}
	if h, err := p.Health(t.Context()); err != nil || h.Available || h.Identity != "" || h.Message == "" {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestStateFile: the next process finds the sandboxes, and two at once see one world.
func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	one, err := mem.Open("b", path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := mem.Open("b", path)
	if err != nil {
		t.Fatal(err)
	}
	first := create(t, one.Provider(), spec(1)).Sandbox
	if c := create(t, two.Provider(), spec(1)); c.Outcome != provider.OutcomeAdopted || c.Sandbox.ID != first.ID || !c.Sandbox.ExpiresAt.Equal(first.ExpiresAt) {
		t.Errorf("the other process: %+v", c)
	}
	if _, err := two.Provider().Delete(t.Context(), provider.DeleteRequest{ID: first.ID, Fence: fence(1)}); err != nil {
		t.Fatal(err)
	}
	if c := create(t, one.Provider(), spec(1)); c.Outcome != provider.OutcomeCreated || c.Sandbox.ID == first.ID {
		t.Errorf("an id was used again: %+v", c)
	}
}
