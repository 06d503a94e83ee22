package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// suspended tells how long the machine has slept since it started: CLOCK_BOOTTIME counts
// that time, CLOCK_MONOTONIC does not. See clock_gettime(2).
func suspended() time.Duration { return between(unix.CLOCK_BOOTTIME, unix.CLOCK_MONOTONIC) }
