package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// opened is one plugin process's worth of the provider, on a directory.
func opened(t *testing.T, dir string) provider.Provider {
	t.Helper()
	config, err := json.Marshal(map[string]any{"dir": dir, "unconfined": true})
	if err != nil {
		t.Fatal(err)
	}
	p := Plugin()
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{Config: config, Owner: "owner"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.Provider()
}

// A sandbox is made once, found by the next plugin, stopped, and removed.
func TestSandbox(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "sandboxes")
	p := opened(t, dir)
	prepared, err := p.Prepare(ctx, provider.PrepareRequest{Image: "/bin/sh"})
	if err != nil {
		t.Fatal(err)
	}
	spec := provider.Spec{Name: "berth-owner-1", Owner: "owner", SessionID: "1", RequestHash: "hash", Port: 8000,
		Image: "/bin/sh", Digest: prepared.Digest, Command: []string{"-c", "exec sleep 1000"}}
	made, err := p.Create(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	fence := provider.Fence{Owner: "owner", SessionID: "1"}
	t.Cleanup(func() {
		_, err := p.Delete(context.Background(), provider.DeleteRequest{ID: made.Sandbox.ID, Fence: fence})
		if err != nil {
			t.Error(err)
		}
	})
	if made.Outcome != provider.OutcomeCreated || made.Sandbox.Endpoint == nil || made.Sandbox.Endpoint.Port == 0 {
		t.Errorf("%+v", made)
	}

	next := opened(t, dir)
	again, err := next.Create(ctx, spec)
	if err != nil || again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != made.Sandbox.ID || *again.Sandbox.Endpoint != *made.Sandbox.Endpoint {
		t.Errorf("%+v, %v", again, err)
	}
	stopped, err := next.Stop(ctx, provider.StopRequest{ID: made.Sandbox.ID, Fence: fence})
	if err != nil || stopped.Outcome != provider.OutcomeStopped {
		t.Errorf("%+v, %v", stopped, err)
	}
	deleted, err := next.Delete(ctx, provider.DeleteRequest{ID: made.Sandbox.ID, Fence: fence})
	if err != nil || deleted.Outcome != provider.OutcomeDeleted {
		t.Errorf("%+v, %v", deleted, err)
	}
}

// A program that has changed since it was prepared is not run.
func TestChangedProgram(t *testing.T) {
	p := opened(t, filepath.Join(t.TempDir(), "sandboxes"))
	_, err := p.Create(t.Context(), provider.Spec{Name: "berth-owner-1", Owner: "owner", SessionID: "1", Image: "/bin/sh", Digest: "sha256:0"})
	if provider.ClassOf(err) != provider.InvalidArgument {
		t.Errorf("%v", err)
	}
	if _, err := p.Prepare(t.Context(), provider.PrepareRequest{Image: "/no/such/program"}); provider.ClassOf(err) != provider.NotFound {
		t.Errorf("%v", err)
	}
}

// The operator has to say that nothing is isolated.
func TestUnconfined(t *testing.T) {
	found, err := Plugin().Validate(t.Context(), provider.ValidateRequest{Config: []byte(`{"dir": "/d", "unconfined": false}`)})
	if err != nil || !found.HasErrors() {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = Plugin().Validate(t.Context(), provider.ValidateRequest{Config: []byte(`{"dir": "/d", "unconfined": true}`)})
	if err != nil || found.HasErrors() {
		t.Errorf("%+v, %v", found, err)
	}
}
