package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Open opens what a process needs to [Join] groups of version 1: a descriptor for each. Moving
// another process, as [Add] does, waits there for every processor to pass through the scheduler,
// which takes tens of milliseconds; a thread that moves itself is moved at once. rest are the
// directories of groups of which this does not hold.
func Open(dirs []string) (fds []int, rest []string, err error) {
	for _, dir := range dirs {
		fd, err := unix.Open(path.Join(dir, "tasks"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) {
			rest = append(rest, dir)
			continue
		}
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, nil, fmt.Errorf("cgroup: %w", &fs.PathError{Op: "open", Path: dir, Err: err})
		}
		fds = append(fds, fd)
	}
	return fds, rest, nil
}

// self is how a thread names itself to a group.
var self = [1]byte{'0'}

// Join puts the calling thread, which must be locked, into groups, each by what Open has opened
// for it. What the thread starts is born there.
func Join(fds []int) error {
	return joinBy(fds, syscall.Syscall)
}

// JoinAll is Join for every thread of this process, and closes what Open has opened.
func JoinAll(fds []int) error {
	err := joinBy(fds, syscall.AllThreadsSyscall)
	if errors.Is(err, unix.ENOTSUP) { // a build with cgo, which is not shipped: the thread that has joined is all
		err = nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return err
}

func joinBy(fds []int, call func(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)) error {
	for _, fd := range fds {
		_, _, e := call(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&self[0])), uintptr(len(self)))
		if e != 0 {
			return fmt.Errorf("cgroup: %w", e)
		}
	}
	return nil
}
