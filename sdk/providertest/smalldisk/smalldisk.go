// Package smalldisk gives tests file systems that are full, out of names, or read-only. They
// are in mounts of the test's own, which go with its process. That needs Linux and root;
// elsewhere such a test is skipped, by name.
package smalldisk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// aloneEnv names the test that a process runs alone.
const aloneEnv = "BERTH_TEST_ALONE"

// Alone runs the calling test once more, in a process with mounts of its own, and passes on
// how that went. It reports whether this is that process. A test begins with
//
//	if !smalldisk.Alone(t) {
//		return
//	}
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) == t.Name() {
		switch err := private(); {
		case errors.Is(err, syscall.EPERM):
			t.Skip("this machine does not let root mount")
		case err != nil:
			t.Fatal(err)
		}
		return true
	}
	switch {
	case runtime.GOOS != "linux":
		t.Skip("mounts of a process's own need Linux")
	case os.Geteuid() != 0:
		t.Skip("mounting a small file system needs root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), aloneEnv+"="+t.Name())
	cmd.SysProcAttr = OwnMounts()
	text, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), strings.Contains(string(text), "--- SKIP: "+t.Name()):
		t.Skip("this machine does not let root mount")
	case err != nil, !strings.Contains(string(text), "--- PASS: "+t.Name()):
		t.Errorf("in mounts of its own: %v\n%s", err, text)
	}
	return false
}

// Shared gives a test mounts that it shares with the processes it starts, one after another.
// What is given to the function that it returns sees them; they go with the test and those
// processes.
func Shared(t *testing.T) func(func() error) error {
	t.Helper()
	work := make(chan func())
	t.Cleanup(func() { close(work) })
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here too
		for f := range work {
			f()
		}
	}()
	within := func(f func() error) error {
		done := make(chan error, 1)
		work <- func() { done <- f() }
		return <-done
	}
	if err := within(unshare); errors.Is(err, syscall.EPERM) {
		t.Skip("this machine does not let root mount")
	} else if err != nil {
		t.Fatal(err)
	}
	return within
}

// ballast is the file that fills a disk, and the prefix of those that take its names.
const ballast = "ballast"

// Fill leaves not one byte on the file system of a directory. Room gives it back.
func Fill(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, ballast), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		switch _, err := f.Write(make([]byte, size)); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return err
		}
	}
	return nil
}

// FillNames leaves room for so many new files and directories, and no more, on the small file
// system of a directory. On one that a disk has, a full disk refuses directories; on one in
// memory only this does.
func FillNames(dir string, left int) error {
	var names []string
	for {
		f, err := os.CreateTemp(dir, ballast+"-*")
		if errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			return err
		}
		names = append(names, f.Name())
		if err := f.Close(); err != nil {
			return err
		}
	}
	for _, name := range names[max(0, len(names)-left):] {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// Room removes what Fill and FillNames have made.
func Room(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, ballast+"*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
