//go:build race

package stage

// The race detector waits for a second at each exit, unless it is told not to.
const raceSetting = "GORACE=atexit_sleep_ms=0"
