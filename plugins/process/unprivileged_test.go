//go:build linux

package process

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// agentVariable names the agent's binary to a test binary that can't build it.
const agentVariable = "BERTH_TEST_AGENT"

// The same tests hold for a host that is not root, as far as they can be set up.
func TestUnprivileged(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: each stage of a sandbox is this program, whose start takes half a second with the race detector; make test runs it")
	}
	if os.Geteuid() != 0 {
		t.Skip("the other tests run without root already")
	}
	run := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v",
		"-test.run", "^(TestCreate.*|TestEndpoint|TestEscapes|TestStop|TestExitIsTold|TestShimKilled|TestNothingLeft|TestSandboxesApart|TestImage|TestLogsByName|TestLevels|TestHealth)$")
	asOther(run, homeOfOther(t))
	out, err := run.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !strings.Contains(text, "--- PASS: TestCreateServeDelete") {
		t.Errorf("no sandbox was made:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// other is the user of a host that is not root.
const other = 54321

// homeOfOther makes that user's home.
func homeOfOther(t testing.TB) string {
	t.Helper()
	home, err := os.MkdirTemp("", "berth-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.Chown(home, other, other); err != nil {
		t.Fatal(err)
	}
	return home
}

// asOther makes a run of this test binary that user's.
func asOther(run *exec.Cmd, home string) {
	run.Dir = "/"
	run.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH"), agentVariable + "=" + world.agent,
		requireVariable + "=" + os.Getenv(requireVariable)}
	run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
}
