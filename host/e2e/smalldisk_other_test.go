//go:build !linux

package e2e

import (
	"errors"
	"syscall"
	"testing"
)

var errNoNamespaces = errors.New("mounts of a process's own need Linux")

func ownMounts() *syscall.SysProcAttr { return nil }
func mountSmallDisk(string) error     { return errNoNamespaces }
func fillDisk(string) error           { return errNoNamespaces }

func sharedMounts(*testing.T) func(func() error) error {
	return func(func() error) error { return errNoNamespaces }
}
