// Command berth-engine runs a command on what looks like another machine, whose Docker
// daemon is the engine in a directory:
//
//	berth-engine [--engines DIR] [--log FILE] COMMAND [ARGUMENT]…
//
// The command finds that daemon where a daemon is by default, and nothing of the machine's
// own: it has network, mount and process namespaces of its own, in which /run and
// /etc/docker are empty. So it reaches sandboxes by their addresses and by ports on
// 127.0.0.1, and no second daemon has a hand on the machine's bridges and firewall. It has
// no other network. The rest of the file system is the machine's; DIR is first on the PATH.
//
// When the command ends, or this process does, however it ends, everything that was
// started ends with it. Files and cgroups that a killed one left are removed by the next.
//
// It wants Linux, root and in DIR what "make engines" puts there: dockerd, docker-proxy,
// containerd, containerd-shim-runc-v2 and runc; runsc, where it is there, becomes a runtime
// of that name. docker-init is the machine's.
//
// The exit code is the command's, 128 and the signal where a signal ended it, and 125 where
// there is no engine.
package main

import (
	"flag"
	"fmt"
	"os"
)

// failed is the exit code of what is not the command's own end.
const failed = 125

// settings are those of the command line.
type settings struct {
	engines string   // directory of the engine's programs
	log     string   // path of the daemon's log; "" for one that is removed
	command []string // what to run
}

func main() {
	code, err := run(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-engine:", err)
	}
	os.Exit(code)
}

// parse reads the command line. It has told what is wrong with it when ok is false.
func parse(args []string) (s settings, ok bool) {
	flags := flag.NewFlagSet("berth-engine", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: berth-engine [--engines DIR] [--log FILE] COMMAND [ARGUMENT]…")
		flags.PrintDefaults()
	}
	flags.StringVar(&s.engines, "engines", ".cache/engines", "directory of the engine's programs")
	flags.StringVar(&s.log, "log", "", "file for the daemon's log; without one the log is removed at the end")
	if err := flags.Parse(args); err != nil {
		return s, false
	}
	if s.command = flags.Args(); len(s.command) == 0 {
		fmt.Fprintln(flags.Output(), "berth-engine: the command to run is missing")
		flags.Usage()
		return s, false
	}
	return s, true
}
