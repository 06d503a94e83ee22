//go:build linux

package process

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// plugins starts real plugin processes on one state directory.
type plugins struct {
	t      *testing.T
	place  string
	binary string
	state  string
}

func newPlugins(t *testing.T) *plugins {
	t.Helper()
	needNamespaces(t)
	place, err := os.MkdirTemp("", "bpp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	p := &plugins{t: t, place: place, binary: filepath.Join(place, "berth-provider-process"), state: filepath.Join(place, "state")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "./cmd/berth-provider-process")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

// start launches a generation as a host does: a verified copy that nobody else may
// execute, in a process group of its own.
func (p *plugins) start() *launch.Process {
	p.t.Helper()
	run, err := launch.PrepareRunDir(p.place)
	if err != nil {
		p.t.Fatal(err)
	}
	process, err := launch.Start(p.t.Context(), launch.Options{Name: "process", Path: p.binary,
		CacheDir: filepath.Join(p.place, "cache"), RunDir: run, Env: launch.Environment(os.Environ(), nil)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := process.Close(ctx); err != nil {
			p.t.Error(err)
		}
	})
	config, _ := json.Marshal(map[string]string{"state_dir": p.state})
	if _, err := process.Plugin().Configure(p.t.Context(), provider.ConfigureRequest{Config: config, Owner: world.owner}); err != nil {
		p.t.Fatal(err)
	}
	return process
}

// kill ends a generation as a crash does: SIGKILL to its whole group.
func kill(t *testing.T, p *launch.Process) {
	t.Helper()
	p.Kill()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the plugin survived SIGKILL")
	}
}

// Sandboxes outlive the plugin that made them; the next one lists, serves and removes them.
func TestPluginKilled(t *testing.T) {
	p := newPlugins(t)
	first := p.start()
	r := newRig(t, Config{StateDir: p.state}) // looks past the plugin, and cleans up
	spec := r.newSpec()
	created, err := first.Plugin().Provider().Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	r.get(created.Sandbox, "/")
	kill(t, first)

	second := p.start().Plugin().Provider()
	if status, _ := r.get(created.Sandbox, "/"); status != 200 {
		t.Errorf("after the kill: status %d", status)
	}
	var listed []provider.Sandbox
	if _, err := second.List(t.Context(), func(s provider.Sandbox) error { listed = append(listed, s); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(listed) != 1 || listed[0].ID != created.Sandbox.ID || listed[0].State != provider.StateRunning {
		t.Errorf("listed = %+v", listed)
	}
	identity, err := second.Identity(t.Context())
	if err != nil || identity != created.Identity {
		t.Errorf("identity = %q, %v, was %q", identity, err, created.Identity)
	}
	if again, err := second.Create(t.Context(), spec); err != nil || again.Outcome != provider.OutcomeAdopted {
		t.Errorf("create again = %+v, %v", again, err)
	}
	deleted, err := second.Delete(t.Context(), provider.DeleteRequest{ID: created.Sandbox.ID, Fence: fenceOf(created.Sandbox)})
	if err != nil || deleted.Outcome != provider.OutcomeDeleted {
		t.Errorf("Delete = %+v, %v", deleted, err)
	}
	r.nothingLeft(t)
}

// A plugin that is killed at any moment of a create or a delete leaves one sandbox or none,
// the list tells the truth of it, and the same create then comes to a running one.
func TestPluginKilledAtAnyMoment(t *testing.T) {
	p := newPlugins(t)
	r := newRig(t, Config{StateDir: p.state})
	for i := range 12 {
		victim := p.start()
		if i%4 > 1 && os.Geteuid() == 0 { // a shim is ready then
			made, err := victim.Plugin().Provider().Create(t.Context(), r.newSpec())
			if err != nil {
				t.Fatal(err)
			}
			r.delete(made.Sandbox)
			await(t, "a blank", func() bool { return len(blanksOf(t, victim.PID())) == 1 })
		}
		spec := r.newSpec()
		cut := time.Duration(rand.Int64N(int64(60 * time.Millisecond)))
		timer := time.AfterFunc(cut, victim.Kill)
		created, err := victim.Plugin().Provider().Create(t.Context(), spec)
		deleting := err == nil && i%2 == 1
		if deleting {
			timer.Stop()
			timer = time.AfterFunc(cut/8, victim.Kill)
			_, _ = victim.Plugin().Provider().Delete(t.Context(), provider.DeleteRequest{ID: created.Sandbox.ID, Fence: fenceOf(created.Sandbox)})
		}
		kill(t, victim)
		timer.Stop()

		left := r.list()
		if len(left) > 1 {
			t.Fatalf("killed after %s: %d sandboxes: %+v", cut, len(left), left)
		}
		for _, s := range left {
			switch {
			case deleting: // it may be about to end: the host asks again
				r.delete(s)
			case s.State == provider.StateRunning:
				r.get(s, "/")
			}
		}
		again := r.create(spec)
		if status, _ := r.get(again.Sandbox, "/"); status != 200 {
			t.Errorf("status %d", status)
		}
		if n := len(r.list()); n != 1 {
			t.Errorf("%d sandboxes after the second create", n)
		}
		r.delete(again.Sandbox)
	}
	r.nothingLeft(t)
}
