package host

import (
	"testing"
	"time"
)

// TestPromise2_StoppedIsNotSuspended: a process that is stopped between two readings of the
// clocks must not take that time for a suspend, by which deadlines would come early.
func TestPromise2_StoppedIsNotSuspended(t *testing.T) {
	const slept = time.Hour
	for name, stops := range map[string]map[int]time.Duration{ // before the nth reading
		"never":                {},
		"between the first":    {1: 2 * time.Second},
		"between the last":     {2: 2 * time.Second},
		"in the second try":    {2: time.Second, 4: time.Second},
		"a little, every time": {1: 50 * time.Microsecond, 2: 50 * time.Microsecond},
	} {
		now, n := 5*time.Minute, 0
		reading := func(ahead time.Duration) func() (time.Duration, bool) {
			return func() (time.Duration, bool) {
				now += stops[n]
				n++
				return now + ahead, true
			}
		}
		if d := difference(reading(slept), reading(0)); d > slept || d < slept-readWithin {
			t.Errorf("%s: %v, want %v and at most %v less", name, d, slept, readWithin)
		}
	}
	if d := between(1, 1); d > 0 || d < -readWithin {
		t.Errorf("a clock is %v ahead of itself", d)
	}
}
