//go:build linux

package cgroup

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// version2 mounts the kernel's hierarchy of version 2, in a mount namespace of this test's
// own. Where there is version 1 beside it, it has the controllers that none of those holds.
func version2(t *testing.T) (root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount it")
	}
	root = t.TempDir()
	runtime.LockOSThread() // and never unlocked: the thread, and its namespace, end with this goroutine
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("a mount namespace can't be made here: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", root, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		t.Skipf("version 2 can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return root
}

// words are those of one of the kernel's files.
func words(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// removeLater removes groups when the test ends.
func removeLater(t *testing.T, dirs ...string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := Remove(ctx, dirs); err != nil {
			t.Error(err)
		}
	})
}

// What the hierarchy has limits sandboxes, and of what it has not the reason is told. A group
// takes a process, and goes with it.
func TestVersion2OfTheKernel(t *testing.T) {
	root := version2(t)
	name := "berth-test-" + strings.ToLower(rand.Text()[:12])
	parent := filepath.Join(root, name)
	tree := Find(root, name)
	group := filepath.Join(parent, "x")
	removeLater(t, group, parent)
	there := words(t, filepath.Join(root, "cgroup.controllers"))
	version := 0
	for _, c := range controllers {
		switch {
		case tree.Has(c):
			version = 2
			if !slices.Contains(there, c) {
				t.Errorf("%s limits sandboxes, and the kernel has %v", c, there)
			}
		case !strings.Contains(tree.Lacking(c), "can't be enabled in "+root):
			t.Errorf("%s does not limit sandboxes, by the reason %q; the kernel has %v", c, tree.Lacking(c), there)
		}
	}
	if tree.Version() != version {
		t.Errorf("version %d, want %d", tree.Version(), version)
	}
	t.Logf("of the kernel's version 2 there is %v here: %+v", there, tree)

	if err := tree.Make("x", Limits{MemoryBytes: 64 << 20, NanoCPUs: 1e9, Pids: 9}); err != nil {
		t.Fatal(err)
	}
	if len(tree.Dirs("x")) == 0 { // no limit, and so no group: one by hand
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if fds, rest, err := Open([]string{group}); len(fds) != 0 || !slices.Equal(rest, []string{group}) || err != nil {
		t.Errorf("what version 1 has is opened: %v, %v, %v", fds, rest, err)
	}
	sleep := exec.Command("sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sleep.Wait() }()
	t.Cleanup(func() { _ = sleep.Process.Kill() })
	if err := Add(group, sleep.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if in := words(t, filepath.Join(group, "cgroup.procs")); !slices.Equal(in, []string{strconv.Itoa(sleep.Process.Pid)}) {
		t.Errorf("in the group: %v, want %d", in, sleep.Process.Pid)
	}
	if n := CountOOM(tree.OOMFile("x")); n != 0 {
		t.Errorf("%d kills for memory", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := Remove(ctx, []string{group}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(group); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group is there: %v", err)
	}
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
			t.Errorf("its process ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("its process lives")
	}
}

// A controller is enabled, and found enabled. Which ones are is the machine's matter, and of
// nobody where version 1 holds those that count.
func TestEnableOfTheKernel(t *testing.T) {
	root := version2(t)
	control := filepath.Join(root, "cgroup.subtree_control")
	free := words(t, filepath.Join(root, "cgroup.controllers"))
	if slices.ContainsFunc(controllers, func(c string) bool { return slices.Contains(free, c) }) {
		t.Skip("version 2 is what this machine uses")
	}
	if len(free) == 0 || len(words(t, control)) > 0 {
		t.Skipf("there is no controller that nobody uses: of %v %v are enabled", free, words(t, control))
	}
	t.Cleanup(func() {
		if err := write(control, "-"+free[0]); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		if err := enable(root, free[0]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(words(t, control), free[0]) {
		t.Errorf("%s is not enabled: %v", free[0], words(t, control))
	}
	if err := enable(root, "nonesuch"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("what the kernel does not know: %v", err)
	}
}
