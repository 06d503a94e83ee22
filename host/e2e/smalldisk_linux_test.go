package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// ownMounts lets a process have mounts of its own, which go with it.
func ownMounts() *syscall.SysProcAttr { return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} }

// mountSmallDisk gives this process a small file system of its own, as smallDiskEnv says.
func mountSmallDisk(spec string) error {
	dir, mode, _ := strings.Cut(spec, ":")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("berth", dir, "tmpfs", 0, "size=96m,mode=0700")
	}
	if err == nil && mode == "ro" {
		err = syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	return err
}

// fillDisk writes until there is no room any more.
func fillDisk(dir string) error {
	f, err := os.Create(filepath.Join(dir, ballast))
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

// sharedMounts gives a test mounts that it shares with the processes it starts, one after
// another. What is given to the function that it returns sees them; they go with the test and
// those processes.
func sharedMounts(t *testing.T) func(func() error) error {
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
	if err := within(func() error { return syscall.Unshare(syscall.CLONE_NEWNS) }); errors.Is(err, syscall.EPERM) {
		t.Skip("this machine does not let root mount")
	} else if err != nil {
		t.Fatal(err)
	}
	return within
}
