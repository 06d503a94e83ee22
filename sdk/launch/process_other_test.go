//go:build !linux

package launch_test

import (
	"os/exec"
	"strconv"
	"strings"
)

// alive reports whether a process runs or is stopped. A zombie is no living process.
func alive(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(out))
	return err == nil && state != "" && !strings.HasPrefix(state, "Z")
}
