package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// notHere is what another backend answers, which is in the place of ours for just one call.
func notHere() mem.Fault {
	return mem.Fault{Times: 1, Err: &provider.Error{Class: provider.NotFound, Message: "no such sandbox"}}
}

// A backend that is replaced by another for a moment, and is back when it is asked who it
// is, ends no session: one NotFound is not believed.
func TestPromise4_ReplacedForAMoment(t *testing.T) {
	hint := func(w *world, s lifecycle.Session) {
		w.mem.Emit(provider.Event{SandboxID: s.SandboxID, SessionID: s.ID, Kind: provider.EventExited})
	}
	for name, c := range map[string]struct {
		begin func(w *world, s lifecycle.Session)
		want  lifecycle.Status
		boxes int
	}{
		"an event": {func(w *world, s lifecycle.Session) {
			w.mem.Fail(mem.Get, notHere())
			hint(w, s)
		}, lifecycle.StatusRunning, 1},
		"ensure": {func(w *world, s lifecycle.Session) {
			w.mem.Fail(mem.Get, notHere())
			req := request("")
			req.ChatID = s.ChatID
			_, err := w.engine.Ensure(w.t.Context(), req)
			failed(w.t, err, lifecycle.CodeUnavailable, "not there, and then that it is")
		}, lifecycle.StatusRunning, 1},
		"stop": {func(w *world, s lifecycle.Session) {
			w.mem.Fail(mem.Stop, mem.Fault{Times: 1, Outcome: provider.OutcomeNotFound})
			_, err := w.engine.Stop(w.t.Context(), s.ID)
			failed(w.t, err, lifecycle.CodeUnavailable, "not there, and then that it is")
		}, lifecycle.StatusStopped, 1},
	} {
		t.Run(name, func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				w.create(id1)
				c.begin(w, w.get(id1))
				w.pass(5 * time.Second)
				w.status(id1, c.want)
				w.boxes(c.boxes)
			})
		})
	}
}
