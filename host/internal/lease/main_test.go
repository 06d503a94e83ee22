package lease

import (
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// children are what this test binary does instead of testing when a test starts it again.
var children = map[string]func(path string) error{}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("LEASE_TEST_CHILD")]; child != nil {
		if err := child(os.Getenv("LEASE_TEST_PATH")); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// childCommand starts this binary again as one of the children.
func childCommand(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "LEASE_TEST_CHILD="+name, "LEASE_TEST_PATH="+path)
	return cmd
}
