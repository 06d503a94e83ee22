package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// OwnMounts lets a process have mounts of its own, which go with it.
func OwnMounts() *syscall.SysProcAttr { return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} }

// unshare gives the calling thread mounts of its own.
func unshare() error { return syscall.Unshare(syscall.CLONE_NEWNS) }

// private keeps the mounts of this thread from being seen by others. It refuses where it shares
// them with whoever has started this process: there it would cut off what is not the test's.
func private() error {
	own, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err != nil {
		return err
	}
	if own == theirs {
		return errors.New("smalldisk: this thread has the machine's own mounts: begin with Alone or Shared")
	}
	return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
}

// Mount mounts a file system in memory, in a process with mounts of its own. Options are
// those of tmpfs: "size=1m,nr_inodes=50".
func Mount(dir, options string) error {
	if err := private(); err != nil {
		return err
	}
	return syscall.Mount("berth", dir, "tmpfs", 0, "mode=0700,"+options)
}

// ReadOnly makes a directory one that nobody can write, with what is in it, in a process with
// mounts of its own.
func ReadOnly(dir string) error {
	err := private()
	if err == nil {
		err = syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
	}
	if err == nil {
		err = syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	return err
}

// Unmount takes away what Mount and ReadOnly have laid over a directory, so that it can be
// removed.
func Unmount(dir string) error {
	for {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); errors.Is(err, syscall.EINVAL) {
			return nil // nothing is mounted there
		} else if err != nil {
			return err
		}
	}
}
