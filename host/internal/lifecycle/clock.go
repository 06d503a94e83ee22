package lifecycle

import (
	"sync"
	"time"
)

// clock is what deadlines run on: the monotonic clock, plus what the machine has slept,
// which that clock leaves out on some systems. A step of the wall clock moves nothing.
type clock struct {
	suspended func() time.Duration

	mu    sync.Mutex
	read  time.Duration // what suspended said when it was last believed
	slept time.Duration // since the clock was made
	told  time.Duration // how much of that noticed has told
}

// sleepNoise is below what a suspend takes, and above what reading two clocks differs by.
const sleepNoise = 10 * time.Millisecond

func newClock(suspended func() time.Duration) *clock {
	if suspended == nil {
		suspended = func() time.Duration { return 0 }
	}
	return &clock{suspended: suspended, read: suspended()}
}

// now is a point on the clock. Only its difference to another one means something.
func (c *clock) now() time.Time { return time.Now().Add(c.look()) }

// at is the point at which the wall clock will show t, if nobody sets it.
func (c *clock) at(t time.Time) time.Time {
	slept, now := c.look(), time.Now()
	return now.Add(slept).Add(t.Sub(now.Round(0)))
}

// look tells how long the machine has slept.
func (c *clock) look() time.Duration {
	read := c.suspended()
	c.mu.Lock()
	defer c.mu.Unlock()
	if more := read - c.read; more > sleepNoise {
		c.slept += more
		c.read = read
	}
	return c.slept
}

// noticed tells how long the machine has slept since it was called last.
func (c *clock) noticed() time.Duration {
	slept := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	more := slept - c.told
	c.told = slept
	return more
}
