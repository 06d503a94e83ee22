package docker

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// docker-provider.md, stop: stops the container; the trace's session and chat are read
// from the container's labels.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	id := r.create(spec).Sandbox.ID
	stopped, err := r.Stop(t.Context(), provider.StopRequest{ID: id, Fence: fence(spec), Grace: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// Docker's init hands SIGTERM on to the agent, which Go's runtime ends with 2 or 143.
	if stopped.Outcome != provider.OutcomeStopped || stopped.Exit == nil || stopped.Exit.OOMKilled || stopped.Exit.At.IsZero() {
		t.Errorf("got %+v, exit %+v", stopped, stopped.Exit)
	}
	if c := r.inspectRaw(id); c.State.Running {
		t.Error("it runs")
	}
	got := attributes(r.span("adapter.docker.stop_sandbox").Attributes())
	for key, want := range map[string]string{"container.id": id, "session.id": spec.SessionID, "chat.id": spec.ChatID, "sandbox.result": "stopped"} {
		if got[key] != want {
			t.Errorf("span attribute %s is %q, want %q", key, got[key], want)
		}
	}
	// A repeat finds it stopped.
	again, err := r.Stop(t.Context(), provider.StopRequest{ID: id, Fence: fence(spec)})
	if err != nil || again.Outcome != provider.OutcomeStopped {
		t.Errorf("a repeat: %+v, %v", again, err)
	}
	s, err := r.Get(t.Context(), provider.Ref{ID: id})
	if err != nil || s.State != provider.StateExited || s.Endpoint != nil || s.Exit == nil {
		t.Errorf("get after stop: %+v, %v", s, err)
	}
}

// stop: what ignores SIGTERM is killed when the grace has passed.
func TestStopKillsAfterTheGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(command("/agent", "-ignore-sigterm"))
	created := r.create(spec)
	r.get(created.Sandbox.Endpoint, "/healthz") // it ignores the signal by now
	stopped, err := r.Stop(t.Context(), provider.StopRequest{ID: created.Sandbox.ID, Fence: fence(spec), Grace: time.Second})
	if err != nil || stopped.Exit == nil || stopped.Exit.Code != 137 {
		t.Errorf("got %+v (exit %+v), %v, want exit code 137", stopped, stopped.Exit, err)
	}
}

// stop and delete: a missing container is success with the outcome not_found.
func TestMissingContainerIsSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	missing := uuid.NewString()
	f := provider.Fence{Owner: world.owner, SessionID: uuid.NewString()}
	stopped, err := r.Stop(t.Context(), provider.StopRequest{ID: missing, Fence: f})
	if err != nil || stopped.Outcome != provider.OutcomeNotFound {
		t.Errorf("stop: %+v, %v", stopped, err)
	}
	deleted, err := r.Delete(t.Context(), provider.DeleteRequest{ID: missing, Fence: f})
	if err != nil || deleted.Outcome != provider.OutcomeNotFound {
		t.Errorf("delete: %+v, %v", deleted, err)
	}
	for _, name := range []string{"adapter.docker.stop_sandbox", "adapter.docker.delete_sandbox"} {
		span := r.span(name)
		if len(span.Events()) != 0 || attributes(span.Attributes())["sandbox.result"] != "not_found" {
			t.Errorf("%s: events %v, attributes %v: not_found is no error", name, span.Events(), span.Attributes())
		}
	}
	if _, err := r.Get(t.Context(), provider.Ref{ID: missing}); !errors.Is(err, provider.NotFound) {
		t.Errorf("get: %v, want NotFound", err)
	}
}

// delete: removes by force, from any state, any number of times.
func TestDeleteFromEveryState(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for _, state := range []string{"created", "running", "paused", "exited"} {
		t.Run(state, func(t *testing.T) {
			session := uuid.NewString()
			id := r.raw("berth-state-"+session, map[string]string{labelSessionID: session, labelOwner: world.owner}, state != "created")
			var err error
			switch state {
			case "paused":
				err = r.api.ContainerPause(t.Context(), id)
			case "exited":
				err = r.api.ContainerKill(t.Context(), id, "KILL")
			}
			if err != nil {
				t.Fatal(err)
			}
			req := provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: world.owner, SessionID: session}}
			if got, err := r.Delete(t.Context(), req); err != nil || got.Outcome != provider.OutcomeDeleted {
				t.Errorf("delete: %+v, %v", got, err)
			}
			if got, err := r.Delete(t.Context(), req); err != nil || got.Outcome != provider.OutcomeNotFound {
				t.Errorf("a repeat: %+v, %v", got, err)
			}
		})
	}
}

// design.md, fencing: another owner's or another session's container is refused, one
// without an owner is touched only when the call says adopted.
func TestFence(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	session := uuid.NewString()
	mine := provider.Fence{Owner: world.owner, SessionID: session}
	adopted := mine
	adopted.Adopted = true
	for _, test := range []struct {
		name   string
		labels map[string]string
		fence  provider.Fence
		ok     bool
	}{
		{"ours", map[string]string{labelOwner: world.owner, labelSessionID: session}, mine, true},
		{"another owner", map[string]string{labelOwner: "somebody", labelSessionID: session}, mine, false},
		{"another owner, adopted", map[string]string{labelOwner: "somebody", labelSessionID: session}, adopted, false},
		{"another session", map[string]string{labelOwner: world.owner, labelSessionID: uuid.NewString()}, mine, false},
		{"no owner", map[string]string{labelSessionID: session}, mine, false},
		{"no owner, adopted", map[string]string{labelSessionID: session}, adopted, true},
		{"no labels", nil, mine, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := r.raw("berth-fence-"+uuid.NewString(), test.labels, false)
			_, err := r.Stop(t.Context(), provider.StopRequest{ID: id, Fence: test.fence})
			if (err == nil) != test.ok || !test.ok && !errors.Is(err, provider.Conflict) {
				t.Errorf("stop: %v", err)
			}
			_, err = r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: test.fence})
			if (err == nil) != test.ok || !test.ok && !errors.Is(err, provider.Conflict) {
				t.Errorf("delete: %v", err)
			}
			if !test.ok {
				wantFailure(t, err, provider.Conflict, codeStop, "", "")
				r.inspectRaw(id) // it is there
			}
		})
	}
}
