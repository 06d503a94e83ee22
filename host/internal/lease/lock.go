package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockStep is how often a held lock is tried again.
const lockStep = 20 * time.Millisecond

// errLocked says that somebody else holds the file.
var errLocked = errors.New("another process has the file open")

// lock takes the exclusive lock of f, within timeout and ctx. It is the lock that bbolt
// takes too; see release.
func lock(ctx context.Context, f *os.File, timeout time.Duration) error {
	return lockAs(ctx, f, timeout, unix.LOCK_EX)
}

// lockShared takes a lock that other readers may hold too, and no writer.
func lockShared(ctx context.Context, f *os.File, timeout time.Duration) error {
	return lockAs(ctx, f, timeout, unix.LOCK_SH)
}

func lockAs(ctx context.Context, f *os.File, timeout time.Duration, how int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w, still after %v", errLocked, timeout))
	defer cancel()
	tick := time.NewTicker(lockStep)
	defer tick.Stop()
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err {
		case nil:
			return nil
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
		default:
			return fmt.Errorf("lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// release gives up the lock of f and closes it. Closing alone would not do where bbolt
// has left a mapping of f behind: that keeps the lock.
func release(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
