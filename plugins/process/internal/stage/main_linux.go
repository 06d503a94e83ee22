package stage

import (
	"fmt"
	"os"
)

// See the package's documentation for why this is an init. The name is the first
// argument, which only the caller of execve sets.
func init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case ShimName:
		os.Exit(runShim())
	case InitName:
		os.Exit(runInit())
	case ProbeName:
		os.Exit(runProbe())
	}
}

// note tells of a failure that nobody waits for. The shim's stderr is a file in the
// sandbox's directory.
func note(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
