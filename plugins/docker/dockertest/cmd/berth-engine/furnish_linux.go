package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// furnish makes the namespaces of this process look like a machine without Docker.
func furnish() error {
	// What is mounted here stays here; what the machine unmounts goes here too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mounts a room's own: %w", err)
	}
	mounts := []struct{ kind, target, options string }{
		{"proc", "/proc", ""},
		{"tmpfs", "/run", "mode=0755"},
		{"tmpfs", "/etc/docker", "mode=0755"},
	}
	for _, m := range mounts {
		if !exists(m.target) {
			continue
		}
		if err := unix.Mount(m.kind, m.target, m.kind, unix.MS_NOSUID|unix.MS_NODEV, m.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
		}
	}
	return loopbackUp()
}

// loopbackUp brings up the room's 127.0.0.1.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, lo); err != nil {
		return fmt.Errorf("the flags of lo: %w", err)
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}
