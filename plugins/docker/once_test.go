package docker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

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
	again := r.create(spec)
	if again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != first.Sandbox.ID || again.Identity != first.Identity ||
		again.Sandbox.Endpoint == nil || *again.Sandbox.Endpoint != *first.Sandbox.Endpoint {
		t.Errorf("again: %+v", again)
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
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	heard := make(chan provider.Event, 1000)
	done := make(chan error, 1)
	go func() {
		done <- r.Events(ctx, func() { close(ready) }, func(ev provider.Event) error {
			heard <- ev
			return nil
		})
	}()
	<-ready
	spec := r.newSpec()
	id := r.create(spec).Sandbox.ID
	if err := r.api.ContainerKill(t.Context(), id, "KILL"); err != nil {
		t.Fatal(err)
	}
	if err := r.api.ContainerRemove(t.Context(), id, container.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	for _, want := range []provider.EventKind{provider.EventStarted, provider.EventExited, provider.EventRemoved} {
		for found := false; !found; {
			select {
			case ev := <-heard:
				found = ev.SandboxID == id && ev.Kind == want && ev.SessionID == spec.SessionID && time.Since(ev.At) < time.Minute
			case <-deadline:
				t.Fatalf("no event %s", want)
			}
		}
	}
	cancel()
	if err := <-done; err == nil || !errors.Is(err, provider.Canceled) {
		t.Errorf("Events returned %v, want the reason", err)
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
