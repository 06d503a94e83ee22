package mem

import (
	"os"

	"golang.org/x/sys/unix"
)

// With the breach OutlivesHost the process hears nothing when its host is gone: neither its
// lifeline nor the kernel's word, which belongs to the thread that runs init.
func init() {
	if Breach(os.Getenv(BreachEnv)) == OutlivesHost {
		os.Unsetenv("BERTH_LIFELINE_FD")
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) // it may always be taken back
	}
}
