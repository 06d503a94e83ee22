package stage

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const seccompSetModeFilter = 1 // seccomp(2)

// confine gives up what the command must not have. All of it is done to this thread, from
// which the command is made; capabilities and system calls are taken from all threads of
// this process, which is process 1 of the sandbox. What cannot be given up is an error:
// nothing is started half confined.
func confine(o *Order) error {
	for _, s := range []struct {
		mechanism string
		what      string
		do        func(*Order) error
	}{
		{Keyring, "a session keyring", newKeyring},
		{Rlimits, "rlimits", setRlimits},
		{Caps, "the bounding set", dropBounding},
		{NNP, "no_new_privs", noNewPrivs},
		{Landlock, "Landlock", restrictPaths},
		{Caps, "capabilities", dropCapabilities},
		{Hidden, "dumpable", hide},
		{Seccomp, "seccomp", loadFilter}, // last: it forbids what the others do
	} {
		if !o.on(s.mechanism) {
			continue
		}
		if err := s.do(o); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// newKeyring joins a new, empty session keyring; the one that was inherited holds the
// operator's keys. See session-keyring(7).
func newKeyring(*Order) error {
	_, _, e := syscall.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0) // no name: a new one
	if e != 0 && e != unix.ENOSYS {                                                     // a kernel without keys
		return e
	}
	return nil
}

// maxFiles is how many descriptors a process may have, where that is less than half of what
// the host may. So many may its sandbox have on the way between processes as well, where the
// kernel counts by users of the host: see carry_linux.go. A plugin or a shim that is not root
// is that same user, and sends descriptors too. It keeps twice the limit.
const maxFiles = 1 << 16

// maxSignals is how many signals and timers may wait, which are counted like descriptors.
const maxSignals = 1 << 10

// setRlimits sets limits of this process, which the command inherits. So the init has them too.
func setRlimits(o *Order) error {
	limits := map[int]uint64{unix.RLIMIT_NPROC: uint64(o.Pids), unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_SIGPENDING: maxSignals,
		unix.RLIMIT_MEMLOCK: 8 << 20, unix.RLIMIT_MSGQUEUE: 819200, unix.RLIMIT_RTPRIO: 0, unix.RLIMIT_NICE: 0}
	if o.DataBytes > 0 {
		limits[unix.RLIMIT_DATA] = uint64(o.DataBytes)
	}
	for resource, limit := range limits {
		var have unix.Rlimit
		if err := unix.Getrlimit(resource, &have); err != nil {
			return err
		}
		if resource == unix.RLIMIT_NOFILE {
			have.Max /= 2
		}
		limit = min(limit, have.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	return nil
}

// noCores has this process and what it starts leave no core dumps. The limit is 1 and not 0:
// where core_pattern names a program the kernel heeds no limit but that one value, and a
// sandbox's crash would start the program outside, as the host's root. See fs/coredump.c,
// and core(5) for what is piped. Where the host's own limit is 0, only root can set 1. The
// filter keeps the command from lowering it.
func noCores() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1})
	if errors.Is(err, unix.EPERM) {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	}
	return err
}

// CantRefuseCores reports whether this process can't give a sandbox the limit by which no program
// is started for its core dumps: its own is below, and it may not raise it; see setrlimit(2).
func CantRefuseCores() bool {
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &own) != nil || own.Max > 0 {
		return false
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) != nil || data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) == 0
}

// dropBounding empties the bounding and the ambient set of this thread, from which the
// command is made.
func dropBounding(*Order) error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // the kernel has no such capability, nor any after it
		}
		if err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
}

// noNewPrivs holds for this thread; the filter takes it to all others.
func noNewPrivs(*Order) error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// dropCapabilities empties the effective, permitted and inheritable set of every thread.
func dropCapabilities(*Order) error { return setCapabilities(0) }

// setCapabilities leaves every thread the capabilities of mask and no other.
func setCapabilities(mask uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for i := range data {
		word := uint32(mask >> (32 * i))
		data[i].Effective, data[i].Permitted = word, word
	}
	h, d := uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0]))
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, h, d, 0)
	if e == unix.ENOTSUP { // a build with cgo, which is not shipped: this thread alone
		_, _, e = syscall.Syscall(unix.SYS_CAPSET, h, d, 0)
	}
	runtime.KeepAlive(&header)
	runtime.KeepAlive(&data)
	if e != 0 {
		return e
	}
	return nil
}

// dropToKill leaves a shim that is root the one capability that it still needs: its init
// has other ids. Without it the shim still works, so a failure is told and no more.
func dropToKill() {
	if err := setCapabilities(1 << unix.CAP_KILL); err != nil && unix.Geteuid() == 0 {
		note("the shim keeps its capabilities: %v", err)
	}
}

// hide keeps the command, which has the same ids, from looking into the init.
func hide(*Order) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// loadFilter loads the filter on every thread.
func loadFilter(o *Order) error {
	if len(o.Filter) == 0 || len(o.Filter)%8 != 0 {
		return fmt.Errorf("the filter has %d bytes", len(o.Filter))
	}
	program := unix.SockFprog{Len: uint16(len(o.Filter) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&o.Filter[0]))}
	thread, _, e := syscall.Syscall(unix.SYS_SECCOMP, seccompSetModeFilter, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(o)
	if e != 0 {
		return e
	}
	if thread != 0 {
		return fmt.Errorf("thread %d can't take the filter", thread)
	}
	return nil
}
