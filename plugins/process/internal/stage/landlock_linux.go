package stage

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// landlocks are what the versions of Landlock's ABI can restrict; see landlock(7). What later
// ones can is not used: nobody has seen here what that does.
var landlocks = []landlock.Config{landlock.V1, landlock.V2, landlock.V3, landlock.V4, landlock.V5, landlock.V6}

// LandlockABI asks the kernel for the version of its Landlock; 0 where it has none, or
// where it is off. Where signals are confined wrongly it is as old as if they were not: the
// second of the errata, which the library heeds too.
func LandlockABI() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	if errata, err := ll.LandlockGetErrata(); version >= 6 && (err != nil || errata&2 == 0) {
		return 5
	}
	return version
}

// restrictPaths adds Landlock to this thread, from which the command is made, as far as the
// kernel has it: reading everywhere, writing only where the sandbox may; no signals and no
// abstract sockets beyond it. It stands behind the mounts: a mount that is writable by
// mistake is not.
//
// The library makes the rules. It is not asked to enforce them: it would on all threads of
// this process, each with a domain of its own before version 8, and then the thread that
// signals the command could be outside of the command's domain.
func restrictPaths(o *Order) error {
	if o.LandlockABI == 0 {
		return nil
	}
	config := landlocks[min(o.LandlockABI, len(landlocks))-1]
	config.HandledAccessNet = 0 // the sandbox's network is its own
	rules := []landlock.Rule{landlock.RODirs("/")}
	for _, path := range writable(o) {
		rule, err := mayWrite(path, o.LandlockABI)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	ruleset, flags, err := config.NewRulesetFD(rules...)
	if err != nil {
		return err
	}
	defer unix.Close(ruleset)
	return ll.LandlockRestrictSelf(ruleset, flags)
}

// mayWrite allows what is at and below path, with all that this version knows.
func mayWrite(path string, abi int) (landlock.Rule, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return landlock.RWFiles(path).WithIoctlDev(), nil
	}
	rule := landlock.RWDirs(path).WithIoctlDev()
	if abi >= 2 { // before, no config takes it
		rule = rule.WithRefer()
	}
	return rule, nil
}

// writable is where the command may write, as far as the kernel lets it.
func writable(o *Order) []string {
	if !o.on(Root) {
		return []string{"/"}
	}
	out := []string{"/tmp", "/dev", "/proc"}
	for _, m := range o.Mounts {
		if !m.ReadOnly {
			out = append(out, m.Target)
		}
	}
	return out
}
