package dockertest

import (
	"errors"
	"syscall"
)

// unmount lets go of a mount. One that has gone meanwhile, by the hand of what is just ending,
// is no error: EINVAL says that nothing is mounted there; see umount(2).
func unmount(path string) error {
	err := syscall.Unmount(path, syscall.MNT_DETACH)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}
