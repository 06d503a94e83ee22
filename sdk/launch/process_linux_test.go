package launch_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// alive reports whether a process runs or is stopped. A zombie is no living process.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(stat, []byte(") "))
	return ok && len(rest) > 0 && !strings.ContainsRune("ZX", rune(rest[0]))
}
