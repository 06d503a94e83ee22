package stage

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// devices are the nodes of the sandbox's /dev.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// openTrees makes a detached copy of every mount that the sandbox gets, with its flags:
// entries, devices, mounts, in this order. Who is root on the host does it in the shim,
// because the sandbox's user may not be able to reach a source; anybody else does it in
// the init, where he has the right to mount. See open_tree(2) and mount_setattr(2).
func openTrees(o *Order) ([]int, error) {
	var fds []int
	fail := func(err error) ([]int, error) {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	open := func(what, source string, clone func(string, uint64) (int, error), attr uint64) error {
		fd, err := clone(source, attr)
		if err != nil {
			return fmt.Errorf("%s %s: %w", what, source, err)
		}
		fds = append(fds, fd)
		return nil
	}
	plain := uint64(0)
	if o.on(NoSuid) {
		plain = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	}
	readOnly := uint64(0)
	if o.on(ReadOnly) {
		readOnly = unix.MOUNT_ATTR_RDONLY
	}
	for _, e := range o.Entries {
		if e.Source == "" {
			continue
		}
		if err := open("root entry", e.Source, cloneTree, plain|readOnly); err != nil {
			return fail(err)
		}
	}
	for _, d := range devices {
		if err := open("device", "/dev/"+d, cloneTree, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return fail(err)
		}
	}
	for _, m := range o.Mounts {
		attr := plain
		if m.ReadOnly {
			attr |= readOnly
		}
		if err := open("mount "+m.Name+": its source", m.Source, cloneResolved, attr); err != nil {
			return fail(err)
		}
	}
	return fds, nil
}

// cloneTree makes a detached copy of what is mounted at and below path, with attributes
// added everywhere. It takes no part in the host's mounts and unmounts.
func cloneTree(path string, attr uint64) (fd int, err error) {
	return cloneAt(unix.AT_FDCWD, path, 0, attr)
}

// cloneResolved is cloneTree for a path whose symlinks have been resolved: it follows none.
// Somebody has judged where the path leads. A sandbox that may write to a directory on the way
// could have put a symlink there since, which root would follow to anywhere. See openat2(2).
func cloneResolved(path string, attr uint64) (fd int, err error) {
	at, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ELOOP) {
		return -1, fmt.Errorf("a part of the path has become a symlink since it was resolved; ask again, and let no sandbox write to a directory on the way: %w", err)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	return cloneAt(at, "", unix.AT_EMPTY_PATH, attr)
}

func cloneAt(dir int, path string, flags uint, attr uint64) (fd int, err error) {
	fd, err = unix.OpenTree(dir, path, flags|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, err
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE,
		&unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE})
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount_setattr: %w", err)
	}
	return fd, nil
}
