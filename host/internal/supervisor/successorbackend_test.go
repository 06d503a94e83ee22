package supervisor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A configuration that leads to another backend: the provider is DEGRADED, nobody is asked
// about a sandbox, and the next configuration that leads back heals it.
func TestASuccessorOnAnotherBackend(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.engine.with(func() { b.engine.identities = []string{"A"} })
		b.run()
		b.ready()
		elsewhere := mem.NewBackend("B")
		away := b.prepare(&launcher{backend: elsewhere}, settings{})
		// Whoever asks, and whenever, never hears of the other backend.
		ask := func() {
			if _, err := b.Get(t.Context(), provider.Ref{ID: "box"}); err != nil && provider.ClassOf(err) != provider.Unavailable {
				t.Errorf("get: %v", err)
			}
		}
		b.engine.with(func() { b.engine.changed = func(lifecycle.BackendStatus) { ask() } })
		b.use(away)
		st := b.Status()
		if st.State != lifecycle.Degraded || !st.Changed || st.Identity != "B" || !strings.Contains(st.Err.Error(), "backend changed") {
			t.Errorf("status %+v", st)
		}
		ask()
		for _, verb := range []mem.Verb{mem.Get, mem.List, mem.Delete, mem.Create} {
			if n := elsewhere.Calls(verb); n != 0 {
				t.Errorf("%d calls of %s reached the other backend", n, verb)
			}
		}
		b.use(b.prepare(b.beside(), settings{}))
		ask()
		if st := b.Status(); st.State != lifecycle.Ready || st.Changed || st.Identity != "A" {
			t.Errorf("status %+v", st)
		}
		for _, verb := range []mem.Verb{mem.Get, mem.List} {
			if n := elsewhere.Calls(verb); n != 0 {
				t.Errorf("%d calls of %s reached the other backend on the way back", n, verb)
			}
		}
		if len(b.backend.Sandboxes()) != 1 {
			t.Error("the sandbox is gone")
		}
		// The same when it is the running plugin's backend that became another one.
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		calls := b.backend.Calls(mem.Get)
		back := mem.NewBackend("A")
		back.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
		b.use(b.prepare(&launcher{backend: back}, settings{}))
		ask()
		if n := b.backend.Calls(mem.Get) - calls; n != 0 || b.Status().State != lifecycle.Ready {
			t.Errorf("%d calls reached the backend that became another; %+v", n, b.Status())
		}
	})
}

// A backend that is away is no reason to refuse a configuration.
func TestASuccessorWhoseBackendIsAway(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		b.backend.SetAvailable(false)
		b.pass(3 * time.Second)
		next := b.beside()
		b.use(b.prepare(next, settings{}))
		b.wantState(lifecycle.Degraded)
		_, err := b.Create(t.Context(), spec(session1))
		wantUnavailable(t, err)
		b.backend.SetAvailable(true)
		b.ready()
		b.goOn(next.last(), 2)
	})
}
