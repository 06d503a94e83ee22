package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// An engine that is upgraded on its data keeps its sandboxes. It keeps its id too where that
// is carried over as the operations guide says: engines before 23.0 take it from a file
// that current ones don't read.
func TestEngineUpgraded(t *testing.T) {
	needDaemon(t)
	path := os.Getenv("PATH")
	old := pathWithoutEngine(t)
	t.Setenv("PATH", old)
	d := newDockerd(t)
	r := openRig(t, Config{}, d.api)
	spec := r.newSpec(func(s *provider.Spec) { s.Network, s.Port = networkNone, 0 })
	created := r.create(spec)
	before, err := r.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.kill()
	if err := os.WriteFile(filepath.Join(d.daemon.Dir, "data", "engine-id"), []byte(before.ID), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	d.start("data")
	after, err := r.api.Info(t.Context())
	if err != nil || after.ServerVersion == before.ServerVersion {
		t.Fatalf("the engine is %q, and was %q: %v", after.ServerVersion, before.ServerVersion, err)
	}
	if id, err := r.Identity(t.Context()); err != nil || id != created.Identity {
		t.Errorf("identity is %q, %v; want %q", id, err, created.Identity)
	}
	s, summary := r.listed(created.Sandbox.ID)
	if s == nil || s.State != provider.StateExited || s.SessionID != spec.SessionID || s.Owner != spec.Owner || summary.Total != 1 {
		t.Errorf("listed as %+v of %d", s, summary.Total)
	}
	if again := r.create(spec); again.Outcome != provider.OutcomeCreated || again.Identity != created.Identity {
		t.Errorf("the same create again: %+v", again)
	}
}

// pathWithoutEngine is the PATH on which another engine comes first. Without one the test is
// skipped: the machine's daemon is the only one.
func pathWithoutEngine(t *testing.T) string {
	t.Helper()
	first, err := exec.LookPath("dockerd")
	if err == nil {
		first, err = filepath.EvalSymlinks(first)
	}
	if err != nil {
		t.Skipf("there is no dockerd: %v", err)
	}
	var rest []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if at, err := filepath.EvalSymlinks(dir); err == nil && at != filepath.Dir(first) {
			rest = append(rest, dir)
		}
	}
	for _, dir := range rest {
		if _, err := os.Stat(filepath.Join(dir, "dockerd")); err == nil {
			return strings.Join(rest, string(os.PathListSeparator))
		}
	}
	t.Skip(`there is one engine; "make test-engine" runs this with another before it`)
	return ""
}
