//go:build linux

package process

import (
	"encoding/binary"
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// cloneNamespaces are the flags of clone(2) that make namespaces, but for CLONE_NEWTIME,
// which clone has no flag for: it is a signal's bits there.
const cloneNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// seccompFilter assembles the filter of all sandboxes: what is not allowed fails with
// EPERM, also every call by another architecture's numbers (i386 programs do not run; those
// of x32 get ENOSYS). clone3 fails with ENOSYS, because a filter can't see its flags; C
// libraries then use clone.
func seccompFilter() ([]byte, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	known := func(names []string) (out []string) {
		for _, n := range names {
			if _, ok := here.SyscallNames[n]; ok { // some are of one architecture alone
				out = append(out, n)
			}
		}
		return out
	}
	policy := seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: known(allowedCalls)},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: known([]string{"clone3"})},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{
				{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: cloneNamespaces}}},
				{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_UNIX}}},
				{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_INET}}},
				{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_INET6}}},
				{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_NETLINK}}},
				// Only local sockets come in pairs that are of use; a pair of another kind is a way
				// around what socket may make.
				{Name: "socketpair", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_UNIX}}},
				// personality(2): the default, and asking for what is set.
				{Name: "personality", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: 0}}},
				{Name: "personality", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: 0xffffffff}}},
			}},
		},
	}
	program, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	raw, err := bpf.Assemble(append(keepCoreLimit(here), program...))
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	// struct sock_filter of linux/filter.h, in the machine's own byte order.
	out := make([]byte, 0, 8*len(raw))
	for _, i := range raw {
		out = binary.NativeEndian.AppendUint16(out, i.Op)
		out = append(out, i.Jt, i.Jf)
		out = binary.NativeEndian.AppendUint32(out, i.K)
	}
	return out, nil
}

// keepCoreLimit is put before a filter. It has what sets RLIMIT_CORE do nothing and succeed:
// a command that could lower its limit of 1 to 0 would be dumped by a core_pattern that names
// a program; see noCores in package stage. Programs that guard secrets set 0, and some end
// when they can't; they are not dumped either way. It is written by hand, because the library
// that assembles the rest has no action of this kind.
func keepCoreLimit(here *arch.Info) []bpf.Instruction {
	// struct seccomp_data of linux/seccomp.h: the number, the architecture, the instruction
	// pointer, the arguments. Of an argument that is an int the kernel takes the lower half.
	const number, architecture, args = 0, 4, 16
	load := func(at uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: at, Size: 4} }
	lower, upper := uint32(0), uint32(4)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		lower, upper = upper, lower
	}
	call := func(name string) uint32 { return uint32(here.SyscallNames[name]) }
	return []bpf.Instruction{
		load(architecture),
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(here.ID), SkipTrue: 12},
		load(number),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: call("setrlimit"), SkipTrue: 7},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call("prlimit64"), SkipTrue: 9},
		load(args + 2*8 + lower), // the new limit; without one it asks for the old one
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
		load(args + 2*8 + upper),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 5},
		load(args + 8 + lower),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipTrue: 2, SkipFalse: 3},
		load(args + lower),
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.RLIMIT_CORE, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO}, // with no error: it returns 0
	}
}
