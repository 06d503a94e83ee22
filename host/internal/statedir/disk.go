package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// roomForLeases is what the leases want on the disk: a commit writes a few pages, and a store
// of many sessions grows by more at a time.
const roomForLeases = 1 << 20

// unwritable tells why a host would not get to write in a directory; nil when it would.
func unwritable(path string) error {
	const inside = unix.W_OK | unix.X_OK
	for _, need := range []struct {
		name string
		mode uint32
	}{{path, inside}, {filepath.Join(path, "lock"), unix.W_OK}, {LeasesIn(path), unix.W_OK}, {filepath.Join(path, "run"), inside}} {
		switch err := unix.Access(need.name, need.mode); {
		case err == nil, errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, unix.EROFS):
			return fmt.Errorf("state_dir %s is on a file system that is mounted read-only; mount it for writing, and see in the kernel's log whether an error of the disk made it so", path)
		default:
			return fmt.Errorf("state_dir %s: %s can't be written: %w; let this user write it", path, need.name, err)
		}
	}
	return nil
}

// full tells why the leases may find no room; nil when they do, or nothing can be told.
func full(path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil || st.Blocks == 0 {
		return nil
	}
	blocks := uint64(st.Bavail)
	if os.Geteuid() == 0 {
		blocks = uint64(st.Bfree) // what the file system keeps for root is its own to use
	}
	if free := blocks * uint64(st.Bsize); free < roomForLeases {
		return fmt.Errorf("state_dir %s is on a file system that is full, or nearly: %d bytes are free, and the leases want %d; make room", path, free, roomForLeases)
	}
	return nil
}
