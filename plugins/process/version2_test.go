//go:build linux

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
)

// version2Variable tells a test binary in a mount namespace of its own to mount a hierarchy
// of version 2 where the kernel's interface is by convention.
const version2Variable = "BERTH_TEST_CGROUP2"

// mountVersion2 does so where it was told to. leave removes the parent of all groups where
// nobody had made it before.
func mountVersion2() (leave func(), err error) {
	if os.Getenv(version2Variable) == "" {
		return func() {}, nil
	}
	if err := unix.Mount("none", cgroup.Mountpoint, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, err
	}
	parent := filepath.Join(cgroup.Mountpoint, defaultCgroup)
	if _, err := os.Stat(parent); err == nil {
		return func() {}, nil
	}
	return func() { _ = os.Remove(parent) }, nil
}

// The same tests hold where the hierarchy is of version 2. It has the controllers that no
// hierarchy of version 1 holds: all of them on a machine of today, else few or none, and then
// what they limit is skipped, by name.
func TestVersion2(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: each stage of a sandbox is this program, whose start takes half a second with the race detector; make test runs it")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can mount it")
	}
	needNamespaces(t)
	run := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v",
		"-test.run", "^(TestHealth|TestNothingLeft|TestOOMIsTold|TestCPULimit|TestEscapes)$/^(cgroup_of_the_host|fork_bomb|memory_bomb)$")
	run.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), agentVariable + "=" + world.agent, version2Variable + "=1"}
	run.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := run.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"TestHealth", "TestNothingLeft", "TestEscapes"} {
		if !strings.Contains(text, "--- PASS: "+name+" ") {
			t.Errorf("%s has not passed:\n%s", name, text)
		}
	}
	if strings.Contains(text, "cgroup v1") || strings.Contains(text, "not mounted") {
		t.Errorf("it was not on version 2:\n%s", text)
	}
	t.Log(text)
}
