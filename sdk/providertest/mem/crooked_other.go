//go:build !linux

package mem

import "os"

// With the breach OutlivesHost the process hears nothing when its host is gone.
func init() {
	if Breach(os.Getenv(BreachEnv)) == OutlivesHost {
		os.Unsetenv("BERTH_LIFELINE_FD")
	}
}
