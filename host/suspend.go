package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// between is how far one clock of the system is ahead of another, to about a
// microsecond; 0 when they can't be read.
func between(ahead, behind int32) time.Duration {
	var a, b unix.Timespec
	if unix.ClockGettime(behind, &b) != nil || unix.ClockGettime(ahead, &a) != nil {
		return 0
	}
	return time.Duration(a.Nano() - b.Nano())
}
