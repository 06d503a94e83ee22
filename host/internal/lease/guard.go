package lease

import (
	"fmt"
	"runtime/debug"
)

// guard runs fn, which reads or writes through bbolt, and turns a panic into an error:
// bbolt's own about a damaged page, and the fault of a mapped page that the disk no
// longer gives. panicked is set then, and the transaction may still hold its locks.
func guard(fn func() error) (panicked bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			panicked, err = true, fmt.Errorf("the lease file can't be read any more: %v", r)
		}
	}()
	return false, fn()
}
