//go:build !linux

package e2e

import "errors"

// isolates tells why there is no process provider here.
func isolates() error { return errors.New("the process provider needs Linux") }

func newProcesses(*site) backend { return nil }

func cleanProcesses(*site, string) {}

func disksOfProcesses(*site) detour { return nil }
