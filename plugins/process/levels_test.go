//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/outlog"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

func framesOf(texts ...string) (out []outlog.Frame) {
	for _, text := range texts {
		out = append(out, outlog.Frame{Data: []byte(text)})
	}
	return out
}

// A level that can't be had is refused, by Prepare and Create, with what lacks; without a
// demand the sandbox is made, and health tells what lacks.
func TestLevels(t *testing.T) {
	r := newRig(t, Config{})
	full := sandboxConfig(`{"isolation": "full"}`)
	if lacks := r.machine.demandLevel(t.Context(), isolationFull); lacks == nil {
		r.delete(r.create(r.newSpec(full)).Sandbox)
	} else {
		t.Logf("this machine: %v", lacks)
	}
	r.machine.tree = cgroup.Find(t.TempDir(), "berth") // a machine without cgroups
	r.machine.landlock = 0
	spec := r.newSpec()
	full(&spec)
	for _, err := range []error{
		second(r.Prepare(t.Context(), provider.PrepareRequest{Config: spec.Config})),
		second(r.Create(t.Context(), spec)),
	} {
		if provider.ClassOf(err) != provider.Unsupported || !strings.Contains(err.Error(), "Landlock") ||
			!strings.Contains(err.Error(), "memory cgroup") || !strings.Contains(err.Error(), `write isolation = "standard"`) {
			t.Errorf("full: %v", err)
		}
	}
	spec.Config = nil
	spec.Resources.Swap = provider.SwapRequire
	if _, err := r.Create(t.Context(), spec); provider.ClassOf(err) != provider.Unsupported || !strings.Contains(err.Error(), "swap") {
		t.Errorf("swap: %v", err)
	}
	spec.Resources.Swap = provider.SwapAuto
	spec.Resources.MemoryBytes = 4 << 30 // of each process; the race detector takes much
	s := r.create(spec).Sandbox
	if status, _ := r.get(s, "/"); status != 200 {
		t.Errorf("standard: status %d", status)
	}
	health, err := r.Health(t.Context())
	if err != nil || !health.Available {
		t.Fatalf("health = %+v, %v", health, err)
	}
	if reasons := fmt.Sprint(health.Limitations); !strings.Contains(reasons, "private memory of each process only") {
		t.Errorf("health promises too much of memory: %s", reasons)
	}
	for _, name := range []string{"memory", "swap", "pids", "cpus", "landlock", "disk"} {
		if !slices.ContainsFunc(health.Limitations, func(l provider.Limitation) bool { return l.Name == name && l.Reason != "" }) {
			t.Errorf("health does not tell of %s: %+v", name, health.Limitations)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestHealth(t *testing.T) {
	r := newRig(t, Config{})
	health, err := r.Health(t.Context())
	if err != nil || !health.Available || !strings.Contains(health.Version, "seccomp") {
		t.Fatalf("health = %+v, %v", health, err)
	}
	t.Logf("%s; %+v", health.Version, health.Limitations)
	identity, err := r.Identity(t.Context())
	if err != nil || identity != health.Identity || len(identity) != 32 {
		t.Errorf("identity = %q, %v; health %q", identity, err, health.Identity)
	}
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && strings.Contains(identity, strings.TrimSpace(string(id))) {
		t.Error("the identity tells the machine's id")
	}
	if err := os.Rename(r.dir.sandboxes, r.dir.sandboxes+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.List(t.Context(), func(provider.Sandbox) error { return nil }); provider.ClassOf(err) != provider.Unavailable {
		t.Errorf("List without its directory: %v", err)
	}
	if _, err := r.Get(t.Context(), provider.Ref{ID: "x.y"}); provider.ClassOf(err) != provider.Unavailable {
		t.Errorf("Get without its directory: %v", err)
	}
	if health, err := r.Health(t.Context()); err != nil || health.Available {
		t.Errorf("health without its directory = %+v, %v", health, err)
	}
	if err := os.Rename(r.dir.sandboxes+".away", r.dir.sandboxes); err != nil {
		t.Fatal(err)
	}
}

// A record that can't be read is told, breaks nothing, and can be removed by who says so.
func TestUnreadable(t *testing.T) {
	r := newRig(t, Config{})
	bad, good := r.create(r.newSpec()).Sandbox, r.create(r.newSpec()).Sandbox
	if err := os.WriteFile(filepath.Join(r.dir.box(bad.Name), "record.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var ids []string
	summary, err := r.List(t.Context(), func(s provider.Sandbox) error { ids = append(ids, s.ID); return nil })
	if err != nil || summary.Total != 2 || len(ids) != 1 || ids[0] != good.ID || len(summary.Unreadable) != 1 {
		t.Fatalf("listed %v, %+v, %v", ids, summary, err)
	}
	id := summary.Unreadable[0].ID
	if s, err := r.Get(context.Background(), provider.Ref{ID: id}); err != nil || s.Unreadable == "" {
		t.Errorf("Get = %+v, %v", s, err)
	}
	fence := provider.Fence{Owner: bad.Owner, SessionID: bad.SessionID}
	if _, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence}); provider.ClassOf(err) != provider.Conflict {
		t.Errorf("Delete: %v", err)
	}
	fence.Adopted = true
	if d, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence}); err != nil || d.Outcome != provider.OutcomeDeleted {
		t.Errorf("Delete, adopted = %+v, %v", d, err)
	}
	r.delete(good)
	r.nothingLeft(t)
}

// A sandbox whose record can't be read any more is still found by its id, and not by that of
// another incarnation; where the id can't be read either, by every id of its name.
func TestUnreadableByItsID(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		old, new string
		another  bool // the id of another incarnation finds it
	}{
		"deadline": {`"expires_at":"2`, `"expires_at":"x`, false},
		"all":      {`{`, ``, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := r.create(r.newSpec()).Sandbox
			path := filepath.Join(r.dir.box(s.Name), "record.json")
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Get(t.Context(), provider.Ref{ID: s.ID}); err != nil || got.ID != s.ID || got.Unreadable == "" || got.State != provider.StateRunning {
				t.Errorf("Get = %+v, %v", got, err)
			}
			if _, err := r.Get(t.Context(), provider.Ref{ID: s.Name + ".000000000000"}); (err == nil) != c.another {
				t.Errorf("Get of another incarnation: %v", err)
			}
			fence := fenceOf(s)
			fence.Adopted = c.another // nobody can tell whose it is
			if d, err := r.Delete(t.Context(), provider.DeleteRequest{ID: s.ID, Fence: fence}); err != nil || d.Outcome != provider.OutcomeDeleted {
				t.Errorf("Delete = %+v, %v", d, err)
			}
			r.nothingLeft(t)
		})
	}
}

// What is wrong with settings is told with the field, the value and the remedy.
func TestValidate(t *testing.T) {
	found := validate(Config{StateDir: "x", Root: []string{"/", "/proc", "/run"}, Cgroup: "../x", Allow: []string{"all"}, Log: LogConfig{MaxSize: 1, MaxFiles: 101}},
		map[string]sdk.TemplateOf[SandboxConfig]{"t": {
			TemplateInfo: provider.TemplateInfo{Image: "sandbox:latest", Network: "bridge",
				Mounts: []provider.Mount{{Name: "m", Source: "/run", Target: "/x"}, {Name: "later", Target: "/y"}}},
			Config: SandboxConfig{User: "0:0", WorkDir: "x"},
		}, "u": {TemplateInfo: provider.TemplateInfo{Image: "/run/containerd"}}})
	var paths []string
	for _, d := range found {
		if d.Summary == "" || d.Detail == "" {
			t.Errorf("%+v", d)
		}
		paths = append(paths, strings.Join(d.Path, "."))
	}
	want := []string{"state_dir", "root", "root", "root", "cgroup", "allow", "log.max_size", "log.max_file",
		"template.image", "template.network", "user", "workdir", "template.mount.m", "template.image"}
	if !slices.Equal(paths, want) {
		t.Errorf("found %v, want %v", paths, want)
	}
	if d := validate(Config{}, map[string]sdk.TemplateOf[SandboxConfig]{"t": {}}); len(d) > 0 {
		t.Errorf("nothing is set: %+v", d)
	}
	if d := validate(Config{Root: []string{"/run"}, Allow: []string{allowDockerSocket}}, nil); len(d) > 0 {
		t.Errorf("it is allowed: %+v", d)
	}
}

// A state directory that was made anew in the place of another is another backend: what the
// host knows of the old one does not end by its empty list.
func TestIdentityOfADirectoryMadeAnew(t *testing.T) {
	r := newRig(t, Config{})
	before, err := r.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := openRig(t, Config{StateDir: r.dir.path}).Identity(t.Context()); err != nil || again != before {
		t.Errorf("the next plugin has the identity %q, %v, and this one %q", again, err, before)
	}
	if err := os.RemoveAll(r.dir.path); err != nil {
		t.Fatal(err)
	}
	if after, err := r.Identity(t.Context()); err != nil || after == before {
		t.Errorf("identity %q, %v, was %q", after, err, before)
	}
	if err := os.WriteFile(filepath.Join(r.dir.path, fileIdentity), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := r.Identity(t.Context()); !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("with a damaged file: %q, %v", id, err)
	}
}
