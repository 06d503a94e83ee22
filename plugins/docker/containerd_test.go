package docker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// A daemon that has lost the containerd under it can't be asked: what fails meanwhile is
// Unavailable and leaves nothing behind, and nothing is told to be gone. The daemon starts
// another one by and by.
func TestPromise4_ContainerdKilled(t *testing.T) {
	d := newDockerd(t)
	r := openRig(t, Config{}, d.api)
	offline := func(s *provider.Spec) { s.Network, s.Port = networkNone, 0 }
	id := r.create(r.newSpec(offline)).Sandbox.ID
	spec := r.newSpec(offline)
	if err := d.daemon.KillContainerd(); err != nil {
		t.Fatal(err)
	}
	refused := 0
	patience, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // daemons take 15 s and more
	defer cancel()
	for ; ; refused++ {
		if s, err := r.Get(t.Context(), provider.Ref{ID: id}); err != nil && !errors.Is(err, provider.Unavailable) || err == nil && s.State != provider.StateRunning {
			t.Fatalf("get: %+v, %v", s, err)
		}
		_, err := r.Create(t.Context(), spec)
		if err == nil {
			break
		}
		if !errors.Is(err, provider.Unavailable) {
			t.Fatalf("class is %q, want %q: %v", provider.ClassOf(err), provider.Unavailable, err)
		}
		r.wantNothing(spec)
		if pause(patience) != nil {
			t.Fatalf("the daemon has no containerd again after %d creates: %v", refused, err)
		}
	}
	if refused == 0 {
		t.Error("no create met the daemon without its containerd")
	}
	t.Logf("%d creates were refused", refused)
	if _, summary := r.listed(id); summary.Total != 2 {
		t.Errorf("%d containers, want 2", summary.Total)
	}
}

// What daemons have said while their containerd was gone.
func TestDaemonDownWords(t *testing.T) {
	for _, said := range []string{
		`Error response from daemon: Unavailable: connection error: desc = "error reading server preface: connection reset by peer"`,
		`Error response from daemon: connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"`,
		`Error response from daemon: error reading from server: EOF`,
		`Error response from daemon: ttrpc: closed: unknown`,
		`Error response from daemon: connection closed: unavailable`,
	} {
		if class := classOf(t.Context(), errors.New(said)); class != provider.Unavailable {
			t.Errorf("%s: class %q", said, class)
		}
	}
}
