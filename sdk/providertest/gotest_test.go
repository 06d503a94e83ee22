package providertest_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// brokenEnv makes TestBrokenFailsGoTest the test that is to fail.
const brokenEnv = "BERTH_PROVIDERTEST_BROKEN"

// TestBrokenFailsGoTest: go test fails with the suite, names the check, and tells what was
// skipped.
func TestBrokenFailsGoTest(t *testing.T) {
	if os.Getenv(brokenEnv) != "" {
		b := mem.NewBackend("broken")
		b.Break(mem.ReusesIDs)
		providertest.Run(t, func() provider.Plugin { return mem.Plugin(b) }, providertest.Options{
			Only:       []string{"an id names one incarnation", "stop ends a sandbox and keeps it", "identity is one", "away is unavailable, not absent"},
			Impossible: map[string]string{"identity is one": "it has none"},
		})
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestBrokenFailsGoTest$", "-test.v")
	child.Env = append(os.Environ(), brokenEnv+"=1")
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{
		"--- FAIL: TestBrokenFailsGoTest/bare/an_id_names_one_incarnation",
		"--- FAIL: TestBrokenFailsGoTest/wire/an_id_names_one_incarnation",
		"--- PASS: TestBrokenFailsGoTest/bare/stop_ends_a_sandbox_and_keeps_it",
		"--- SKIP: TestBrokenFailsGoTest/bare/identity_is_one",
		"broken promise: an id is never used again",
		"bare: 2 checks were skipped:",
		"identity is one: the author says: it has none",
		"away is unavailable, not absent: Options.Away is nil: nobody makes the backend go away",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
