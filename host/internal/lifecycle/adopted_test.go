package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A create that had failed comes through at the backend after all, and the same request is
// asked for again: its sandbox is adopted, and bears the deadline of the first try in its
// labels. It is the session's in every respect: nothing that the plugin says of it is a lie,
// and its end is noticed.
func TestPromise1_AdoptedFromAFirstTry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: &provider.Error{Class: provider.Internal, Message: "boom"}})
		_, err := w.engine.Create(t.Context(), request(id1))
		failed(t, err, lifecycle.CodeSandboxStartFailed, "boom")
		first := record(t, w.store, id1)
		w.mem.Put(provider.Sandbox{Name: first.SandboxName, Owner: owner, SessionID: id1, ChatID: first.ChatID, RequestHash: first.RequestHash,
			State: provider.StateRunning, CreatedAt: first.CreatedAt, ExpiresAt: first.ExpiresAt, Endpoint: &provider.Endpoint{IP: "10.0.0.1", Port: 8000}})
		w.pass(time.Second)
		s, err := w.engine.Create(t.Context(), request(id1))
		w.must(err)
		if s.ExpiresAt.Equal(first.ExpiresAt) || !record(t, w.store, id1).FirstExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("until %v; its sandbox bears %v, and the lease says that it does %v", s.ExpiresAt, first.ExpiresAt, record(t, w.store, id1).FirstExpiresAt)
		}
		w.restart() // and so it is in the next life
		w.pass(2 * time.Minute)
		w.status(id1, lifecycle.StatusRunning)
		if len(w.obs.bad) > 0 {
			t.Errorf("refused: %v", w.obs.bad)
		}
		w.mem.Exit(s.SandboxID, 3, false)
		w.pass(time.Minute)
		w.ended(id1, lease.Exited)
	})
}
