package conformance_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mock builds the plugin of package mem, which has the verb.
func mock(t *testing.T) (run func(settings string) (status int, out string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "berth-provider-mock")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/berth-dev/berth/plugins/mock/cmd/berth-provider-mock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(settings string) (int, string) {
		cmd := exec.CommandContext(t.Context(), path, "conformance", "-")
		cmd.Stdin = strings.NewReader(settings)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
}

// settings keep the sandboxes in a file, so that they outlive a plugin process.
func settings(t *testing.T, more string) string {
	return `{"config": {"state_file": "` + filepath.Join(t.TempDir(), "state") + `"` + more + `}, "templates": {"default": {"image": "sandbox", "port": 8000}}}`
}

// TestByHand wants a binary that keeps its promises to pass, and to say what was skipped;
// and one that breaks one to fail with the promise's name.
func TestByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	run := mock(t)
	if status, out := run(settings(t, "")); status != 0 || !strings.Contains(out, "passed  binary/") || !strings.Contains(out, "checks were skipped") || strings.Contains(out, "failed  ") {
		t.Errorf("ends with %d:\n%s", status, out)
	}
	if status, out := run(settings(t, `, "fault": [{"verb": "list", "lie": "twice"}]`)); status != 1 || !strings.Contains(out, "failed  binary/create is idempotent") {
		t.Errorf("with a broken promise it ends with %d:\n%s", status, out)
	}
}

// TestBadSettings wants what can't be tried told, and nothing tried.
func TestBadSettings(t *testing.T) {
	run := mock(t)
	for _, c := range []struct {
		settings, want string
		status         int
	}{
		{`{"templates": {"a": {}, "b": {}}}`, "conformance: there are 2 templates: give the one from which sandboxes are to be made", 2},
		{`{"config": {"nope": 1}}`, "nope", 1},
		{`{`, "conformance: ", 2},
	} {
		if status, out := run(c.settings); status != c.status || !strings.Contains(out, c.want) || strings.Contains(out, "passed") {
			t.Errorf("%s ends with %d:\n%s", c.settings, status, out)
		}
	}
}
