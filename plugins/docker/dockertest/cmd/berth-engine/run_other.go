//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// run refuses: an engine of its own needs the namespaces of Linux.
func run(args []string) (code int, err error) {
	if _, ok := parse(args[1:]); !ok {
		return failed, nil
	}
	return failed, errors.New("an engine of its own needs Linux, not " + runtime.GOOS)
}
