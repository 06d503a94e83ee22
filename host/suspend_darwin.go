package host

import "time"

// The clocks of darwin's clock_gettime(3).
const (
	clockMonotonic = 6 // goes on while the machine sleeps
	clockUptimeRaw = 8 // does not
)

// suspended tells how long the machine has slept since it started.
func suspended() time.Duration { return between(clockMonotonic, clockUptimeRaw) }
