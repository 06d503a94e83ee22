//go:build !linux

package smalldisk

import (
	"errors"
	"syscall"
)

var errNoMounts = errors.New("mounts of a process's own need Linux")

// OwnMounts lets a process have mounts of its own, where that can be.
func OwnMounts() *syscall.SysProcAttr { return nil }

func unshare() error { return errNoMounts }

func private() error { return errNoMounts }

// Mount mounts a file system in memory, where that can be.
func Mount(string, string) error { return errNoMounts }

// ReadOnly makes a directory one that nobody can write, where that can be.
func ReadOnly(string) error { return errNoMounts }

// Unmount takes away what Mount and ReadOnly have laid over a directory, where that can be.
func Unmount(string) error { return errNoMounts }
