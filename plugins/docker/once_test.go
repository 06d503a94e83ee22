package docker

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"

	"github.com/berth-dev/berth/sdk/provider"
)

// Promise 5: one session id, one sandbox, also for 16 callers at once.
func TestPromise5_ConcurrentCreatesMakeOneContainer(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	ids := make([]string, 16)
	outcomes := make([]provider.Outcome, len(ids))
	var work sync.WaitGroup
	for i := range ids {
		work.Go(func() {
			created, err := r.Create(t.Context(), spec)
			if err != nil {
				t.Error(err)
			}
			ids[i], outcomes[i] = created.Sandbox.ID, created.Outcome
		})
	}
	work.Wait()
	made := 0
	for i := range ids {
		if ids[i] != ids[0] || ids[i] == "" {
			t.Errorf("caller %d got %q, caller 0 %q", i, ids[i], ids[0])
		}
		if outcomes[i] == provider.OutcomeCreated {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d callers were told created, want 1: %v", made, outcomes)
	}
}

// A taken name: the same request and running is adopted; not running is made anew;
// anything else is Conflict and is not touched.
func TestPromise5_TakenName(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	first := r.create(spec)
	second := newRig(t, Config{})
	for _, p := range []*rig{r, second} {
		again := p.create(spec)
		if again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != first.Sandbox.ID || again.Identity != first.Identity ||
			again.Sandbox.Endpoint == nil || *again.Sandbox.Endpoint != *first.Sandbox.Endpoint {
			t.Errorf("again: %+v", again)
		}
	}
	// In the span, adopted counts as created.
	span := second.span(spanCreate)
	want := map[string]string{"chat.id": spec.ChatID, "session.id": spec.SessionID, "container.id": first.Sandbox.ID, "sandbox.result": "created"}
	if got := attributes(span.Attributes()); !maps.Equal(got, want) || span.Status().Code == codes.Error {
		t.Errorf("the span of what was adopted has %v, %v; want %v", got, span.Status(), want)
	}
	for name, change := range map[string]func(*provider.Spec){
		"owner":   func(s *provider.Spec) { s.Owner = "somebody" },
		"session": func(s *provider.Spec) { s.SessionID = uuid.NewString() },
		"request": func(s *provider.Spec) { s.RequestHash = "other" },
	} {
		other := spec
		change(&other)
		_, err := r.Create(t.Context(), other)
		wantFailure(t, err, provider.Conflict, codeStart, spec.ChatID, "of another "+name)
	}
	if c := r.inspectRaw(first.Sandbox.ID); !c.State.Running {
		t.Error("a conflict has touched the container")
	}
	if err := r.api.ContainerKill(t.Context(), first.Sandbox.ID, "KILL"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return !r.inspectRaw(first.Sandbox.ID).State.Running })
	anew := r.create(spec)
	if anew.Outcome != provider.OutcomeCreated || anew.Sandbox.ID == first.Sandbox.ID {
		t.Errorf("after its end: %+v", anew)
	}
}

// Promise 5: a caller who leaves in mid-create leaves nothing, at whatever moment.
func TestPromise5_CanceledCreateLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
		spec := r.newSpec()
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := r.Create(ctx, spec)
		cancel()
		if err == nil {
			continue // it was quicker than the caller
		}
		if !errors.Is(err, provider.Canceled) {
			t.Errorf("after %v: %v", after, err)
		}
		r.wantNothing(spec)
	}
}

// Events tell of a death within moments, with the session's id; and of the removal.
func TestEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	next := r.hear()
	spec := r.newSpec()
	id := r.create(spec).Sandbox.ID
	if err := r.api.ContainerKill(t.Context(), id, "KILL"); err != nil {
		t.Fatal(err)
	}
	if err := r.api.ContainerRemove(t.Context(), id, container.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []provider.EventKind{provider.EventStarted, provider.EventExited, provider.EventRemoved} {
		if ev := next(id, want); ev.SessionID != spec.SessionID || time.Since(ev.At) > time.Minute {
			t.Errorf("event %s of session %q at %v, want %s", want, ev.SessionID, ev.At, spec.SessionID)
		}
	}
}

// The session of an event is told in canonical form, as List and Get tell it, however another
// adapter has spelled it; one that can't be read is not told.
func TestEventsOfOtherSpellings(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	next := r.hear()
	session := uuid.NewString()
	for spelled, want := range map[string]string{strings.ToUpper(session): session, "urn:uuid:" + session: session, "no-uuid": ""} {
		id := r.raw("berth-events-"+uuid.NewString(), sixLabels(map[string]string{labelSessionID: spelled}), true)
		if ev := next(id, provider.EventStarted); ev.SessionID != want {
			t.Errorf("label %s: an event of session %q, want %q", spelled, ev.SessionID, want)
		}
		if got, err := r.Get(t.Context(), provider.Ref{ID: id}); err != nil || got.SessionID != want {
			t.Errorf("label %s: get tells session %q, want %q: %v", spelled, got.SessionID, want, err)
		}
	}
}

// hear listens to the provider's events until the end of the test. What it returns waits for
// one of a kind, of a sandbox.
func (r *rig) hear() (next func(id string, kind provider.EventKind) provider.Event) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ready := make(chan struct{})
	heard := make(chan provider.Event, 1000)
	done := make(chan error, 1)
	go func() {
		done <- r.Events(ctx, func() { close(ready) }, func(ev provider.Event) error {
			select {
			case heard <- ev:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, provider.Canceled) && !errors.Is(err, context.Canceled) {
			r.t.Errorf("Events returned %v, want the reason", err)
		}
	})
	return func(id string, kind provider.EventKind) provider.Event {
		r.t.Helper()
		for deadline := time.After(20 * time.Second); ; {
			select {
			case ev := <-heard:
				if ev.SandboxID == id && ev.Kind == kind {
					return ev
				}
			case <-deadline:
				r.t.Fatalf("no event %s", kind)
			}
		}
	}
}

// Logs: both streams, the last lines, and following to the end.
func TestLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	id := r.raw("berth-logs-"+uuid.NewString(), sixLabels(map[string]string{labelOwner: world.owner}), true, "/agent", "-print=60", "-exit=0")
	read := func(req provider.LogsRequest) (out, errs string) {
		req.ID = id
		err := r.Logs(t.Context(), req, func(c provider.LogChunk) error {
			if c.Stderr {
				errs += string(c.Data)
			} else {
				out += string(c.Data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out, errs
	}
	out, errs := read(provider.LogsRequest{Follow: true})
	if want := "line 0\nline 2\n"; len(out) < len(want) || out[:len(want)] != want {
		t.Errorf("stdout: %q", out)
	}
	if want := "line 1\nline 3\n"; len(errs) < len(want) || errs[:len(want)] != want {
		t.Errorf("stderr: %q", errs)
	}
	out, errs = read(provider.LogsRequest{Tail: 2})
	// The daemon reads the two streams side by side, so either may come last.
	if strings.Count(out+errs, "\n") != 2 || !strings.Contains(out+errs, "line 5") {
		t.Errorf("tail: %q %q", out, errs)
	}
	err := r.Logs(t.Context(), provider.LogsRequest{ID: uuid.NewString()}, func(provider.LogChunk) error { return nil })
	if !errors.Is(err, provider.NotFound) {
		t.Errorf("a missing container: %v", err)
	}
}

// An end for memory is told as such.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(command("/agent", "-eat-memory"), func(s *provider.Spec) { s.Resources.MemoryBytes = 16 << 20 })
	created, err := r.Create(t.Context(), spec)
	if err != nil {
		wantFailure(t, err, provider.Internal, codeStart, "killed for memory") // it was so quick that Create saw its end
		return
	}
	eventually(t, "its end", func() bool {
		s, err := r.Get(t.Context(), provider.Ref{ID: created.Sandbox.ID})
		return err == nil && s.State == provider.StateExited
	})
	s, err := r.Get(t.Context(), provider.Ref{ID: created.Sandbox.ID})
	if err != nil || s.Exit == nil || !s.Exit.OOMKilled || s.Exit.Code != 137 {
		t.Errorf("exit %+v, %v", s.Exit, err)
	}
}
