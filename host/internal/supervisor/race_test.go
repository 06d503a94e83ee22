//go:build race

package supervisor_test

import "runtime"

// All timers of a synctest bubble share one context of the race detector, and the runtime
// (Go 1.26) may run two of them at once: then the detector itself crashes. One processor
// keeps them apart; the detector goes by what happens before what, and finds as much.
func init() { runtime.GOMAXPROCS(1) }

const raced = true
