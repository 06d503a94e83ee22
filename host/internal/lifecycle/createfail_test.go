package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Whatever goes wrong, the caller hears what, nothing is left, and the same id may be
// tried anew.
func TestCreateFails(t *testing.T) {
	class := func(c provider.Class, text string) error { return &provider.Error{Class: c, Message: text} }
	for name, c := range map[string]struct {
		spoil func(w *world)
		code  lifecycle.Code
		words []string
		boxes int
	}{
		"prepare": {func(w *world) {
			w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Err: class(provider.NotFound, "no such image")})
		}, lifecycle.CodeSandboxStartFailed, []string{"no such image"}, 0},
		"prepare, daemon away": {func(w *world) {
			w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Err: class(provider.Unavailable, "no daemon")})
		}, lifecycle.CodeUnavailable, []string{"no daemon"}, 0},
		"spec": {func(w *world) {
			w.templates[0].specErr = class(provider.InvalidArgument, "mount chat: outside")
		}, lifecycle.CodeInvalidArgument, []string{"mount chat"}, 0},
		"create": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: &provider.Error{Class: provider.Internal, Message: "exec: not found", LogTail: "line 49\nline 50"}})
		}, lifecycle.CodeSandboxStartFailed, []string{"exec: not found", "line 49\nline 50"}, 0},
		"create exhausted": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Err: class(provider.Exhausted, "no more addresses")})
		}, lifecycle.CodeResourceExhausted, []string{"no more addresses"}, 0},
		"never ready": {func(w *world) {
			w.templates[0].config = `{"log":["starting","cannot bind"]}`
			w.prober.set(0, true)
		}, lifecycle.CodeSandboxStartFailed, []string{"the sandbox was not ready within 30s", "connection refused", "starting\ncannot bind"}, 0},
		"exits before it is ready": {func(w *world) {
			w.templates[0].config = `{"log":["boom"],"exit_after":"3s","exit_code":7}`
			w.prober.set(0, true)
		}, lifecycle.CodeSandboxStartFailed, []string{"ended with exit code 7 before it was ready", "boom"}, 0},
		"another session's sandbox": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Lie: func(s *provider.Sandbox) { s.SessionID = id3 }})
		}, lifecycle.CodeSandboxStartFailed, []string{"answer is refused: it is the sandbox of session"}, 0},
		"another owner's sandbox": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Lie: func(s *provider.Sandbox) { s.Owner = "other" }})
		}, lifecycle.CodeSandboxStartFailed, []string{"answer is refused: it is the sandbox of owner"}, 0},
		"no id": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Lie: func(s *provider.Sandbox) { s.ID = "" }})
		}, lifecycle.CodeSandboxStartFailed, []string{"answer is refused: it has no sandbox id"}, 0},
		"no endpoint": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Lie: func(s *provider.Sandbox) { s.Endpoint = nil }})
		}, lifecycle.CodeSandboxStartFailed, []string{"it has no endpoint, and port 8000 was asked for"}, 0},
		"unknown outcome": {func(w *world) {
			w.mem.Fail(mem.Create, mem.Fault{Times: 1, Outcome: "perhaps"})
		}, lifecycle.CodeSandboxStartFailed, []string{`outcome "perhaps"`}, 0},
		"lease not written before": {func(w *world) {
			w.store.Fail(leaseFault(1))
		}, lifecycle.CodeUnavailable, []string{"no space left on device"}, 0},
		"name taken": {func(w *world) {
			w.mem.Put(provider.Sandbox{Name: "berth-0123456789ab-" + id1, Owner: "other", SessionID: id1})
		}, lifecycle.CodeConflict, []string{"is taken by sandbox"}, 1},
		"name taken by ourselves": { // nothing is touched; it is an orphan's business
			func(w *world) {
				w.mem.Put(provider.Sandbox{Name: "berth-0123456789ab-" + id1, Owner: owner, SessionID: id1, RequestHash: "other"})
			}, lifecycle.CodeConflict, []string{"is taken by sandbox"}, 1},
		"name taken by what was made": { // as by a create that was seen too late to be adopted
			func(w *world) {
				w.mem.Fail(mem.Create, mem.Fault{Times: 1, After: true, Err: class(provider.Conflict, "does not run, and was made anew once already")})
			}, lifecycle.CodeConflict, []string{"does not run"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				events := w.watch()
				c.spoil(w)
				_, err := w.engine.Create(t.Context(), request(id1))
				e := failed(t, err, c.code, c.words...)
				if e.ChatID != chat || e.SessionID != id1 {
					t.Errorf("%+v", e)
				}
				s := w.ended(id1, lease.Failed)
				if s.Ended.Message == "" || strings.Contains(s.Ended.Message, "\n") {
					t.Errorf("message %q", s.Ended.Message)
				}
				boxes := w.boxes(c.boxes)
				if rec := record(t, w.store, id1); rec.State != lease.Ended || rec.Ended.Reason != lease.Failed {
					t.Errorf("lease: %+v", rec)
				}
				if got := story(events(), id1); got != "creating deleting ended(failed)" {
					t.Errorf("watchers were told: %s", got)
				}
				ops, _, _, _ := w.obs.all()
				if ops[1] != "create error" {
					t.Errorf("operations: %v", ops)
				}

				w.mem.Clear()
				w.prober.set(0, false)
				w.templates[0].specErr, w.templates[0].config = nil, ""
				other := request(id1)
				other.AgentID = "another"
				_, err = w.engine.Create(t.Context(), other)
				failed(t, err, lifecycle.CodeConflict, "another request")
				if len(boxes) > 0 {
					w.mem.Vanish(boxes[0].ID)
				}
				w.create(id1)
				w.boxes(1)
				w.pass(time.Minute * 2) // nothing of the first try reaches the second
				w.status(id1, lifecycle.StatusRunning)
				w.pass(time.Minute * 3)
				w.ended(id1, lease.Expired)
			})
		})
	}
}

// The terminal record of a failed try does not take the lease of the next one with it.
func TestRetryOutlivesTheFirstRecord(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.templates[0].ttl = 3 * time.Hour
		w.start()
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Err: errors.New("no")})
		if _, err := w.engine.Create(t.Context(), request(id1)); err == nil {
			t.Fatal("it did not fail")
		}
		w.pass(time.Minute)
		w.create(id1)
		w.pass(2 * time.Hour)
		w.status(id1, lifecycle.StatusRunning)
		record(t, w.store, id1)
		w.restart()
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Hour)
		w.ended(id1, lease.Expired)
	})
}

// The same when the next try comes while the record of the first is being forgotten.
func TestRetryWhileTheFirstIsForgotten(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Err: errors.New("no")})
		if _, err := w.engine.Create(t.Context(), request(id1)); err == nil {
			t.Fatal("it did not fail")
		}
		w.pass(time.Hour - time.Second)
		w.store.Delay(5 * time.Second)
		w.pass(time.Second)
		w.store.Clear()
		c := w.createLater(t.Context(), id1)
		w.pass(5 * time.Second)
		w.must(w.over(c).err)
		record(t, w.store, id1)
		w.status(id1, lifecycle.StatusRunning)
	})
}

// The lease can't be written once the sandbox is there.
func TestCreateSecondWriteFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Hold: hold})
		c := w.createLater(t.Context(), id1)
		w.store.Fail(leaseFault(1))
		close(hold)
		failed(t, w.over(c).err, lifecycle.CodeUnavailable, "no space left on device")
		w.ended(id1, lease.Failed)
		w.boxes(0)
	})
}

// A deadline that is reached while creating fails the create, whatever it is at.
func TestCreateDeadlinePasses(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"create": func(w *world) { w.mem.Fail(mem.Create, mem.Fault{After: true, Delay: 20 * time.Second}) },
		"ready":  func(w *world) { w.prober.set(0, true) },
		"create, no endpoint": func(w *world) {
			w.templates[0].port = 0
			w.mem.Fail(mem.Create, mem.Fault{Delay: 20 * time.Second})
		},
		"write": func(w *world) { w.prober.set(2*time.Second, false); w.store.Delay(9 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				spoil(w)
				req := request(id1)
				req.TTL = 10 * time.Second
				begun := time.Now()
				_, err := w.engine.Create(t.Context(), req)
				failed(t, err, lifecycle.CodeSandboxStartFailed, "its deadline passed while it was being created")
				w.pass(20 * time.Second)
				if s := w.ended(id1, lease.Failed); name == "ready" && s.Ended.At.Sub(begun) > 10*time.Second {
					t.Errorf("it ended after %v", s.Ended.At.Sub(begun))
				}
				w.boxes(0)
			})
		})
	}
}

// A sandbox that dies while its lease is written has an event that nobody must lose.
func TestExitWhileTheLeaseIsWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(time.Second, false)
		c := w.createLater(t.Context(), id1)
		w.store.Delay(5 * time.Second)
		w.pass(3 * time.Second)
		w.mem.Exit(w.boxes(1)[0].ID, 3, false)
		w.store.Clear()
		w.pass(3 * time.Second)
		w.must(w.over(c).err)
		if s := w.ended(id1, lease.Exited); *s.Ended.ExitCode != 3 {
			t.Errorf("%+v", s.Ended)
		}
		w.boxes(0)
	})
}
