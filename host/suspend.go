package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// The two clocks are read within readWithin of each other, in one of readTries tries. A
// process that was stopped between two readings would take that time for a suspend.
const (
	readWithin = time.Millisecond
	readTries  = 100
)

// between is how far one clock of the system is ahead of another, less at most
// readWithin and never more; 0 when they can't be read.
func between(ahead, behind int32) time.Duration { return difference(reader(ahead), reader(behind)) }

// difference is between for two clocks.
func difference(ahead, behind func() (time.Duration, bool)) (d time.Duration) {
	for range readTries {
		first, ok := behind()
		a, read := ahead()
		last, again := behind()
		if !ok || !read || !again {
			return 0
		}
		if d = a - last; last-first <= readWithin {
			break
		}
	}
	return d
}

func reader(clock int32) func() (time.Duration, bool) {
	return func() (time.Duration, bool) {
		var t unix.Timespec
		err := unix.ClockGettime(clock, &t)
		return time.Duration(t.Nano()), err == nil
	}
}
