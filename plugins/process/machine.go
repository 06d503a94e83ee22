//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// corePattern tells what becomes of core dumps; see core(5).
const corePattern = "/proc/sys/kernel/core_pattern"

// leastLinux is the kernel in which mount_setattr(2) came.
const leastLinux = "5.12"

// machine is what can be isolated here.
type machine struct {
	release  string
	landlock int // version of the ABI; 0 for none
	tree     *cgroup.Tree
	self     *self

	mu     sync.Mutex
	proven bool // a sandbox's namespaces could be made once
}

func newMachine(cgroupName string, self *self) *machine {
	m := &machine{self: self, landlock: stage.LandlockABI(), tree: cgroup.Find(cgroup.Mountpoint, cgroupName)}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.release = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// basics proves what every sandbox rests on, by making the namespaces once and mounting in
// them: asking the kernel's settings would miss what a container or a security module
// forbids. It returns why it can't be done.
func (m *machine) basics(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proven {
		return nil
	}
	if err := seccompThere(); err != nil {
		return err
	}
	if err := m.tryNamespaces(ctx); err != nil {
		return err
	}
	m.proven = true
	return nil
}

// seccompThere asks whether filters that return an error are to be had; see seccomp(2).
func seccompThere() error {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, e := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, ptr(&action))
	if e != 0 {
		return fmt.Errorf("the kernel has no seccomp filters: %w", e)
	}
	return nil
}

func (m *machine) tryNamespaces(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	exe, err := m.self.path()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid, _ = parseUser(defaultUser)
	}
	pid, err := stage.StartProbe(exe, uid, gid, w)
	w.Close()
	if err != nil {
		return fmt.Errorf("the namespaces can't be made (%w); allow user namespaces to this user, or run the host as root outside of a container", err)
	}
	defer func() {
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	}()
	b, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return err
	}
	if text := string(b); text != stage.ProbeGood {
		return fmt.Errorf("what every sandbox rests on is refused in a user namespace (%s); sandboxes need Linux %s or newer, and leave to mount in user namespaces", strings.TrimSpace(text), leastLinux)
	}
	return nil
}

// demandLevel refuses a level that can't be had here, with what lacks.
func (m *machine) demandLevel(ctx context.Context, level string) error {
	if err := m.basics(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &provider.Error{Class: provider.Unsupported, Message: "this machine can't isolate sandboxes", Err: err}
	}
	if level != isolationFull {
		return nil
	}
	var lacks []string
	if m.landlock == 0 {
		lacks = append(lacks, "Landlock (the kernel lacks it, or it is off at boot)")
	}
	for _, c := range []string{"memory", "cpu", "pids"} {
		if !m.tree.Has(c) {
			lacks = append(lacks, fmt.Sprintf("the %s cgroup (%s)", c, m.tree.Lacking(c)))
		}
	}
	if len(lacks) > 0 {
		return refusal(provider.Unsupported, fmt.Sprintf("isolation is %q, and this machine lacks %s; write isolation = %q, or give the host what lacks",
			level, strings.Join(lacks, ", "), isolationStandard))
	}
	return nil
}

// demand refuses a level or a limit that can't be had here.
func (m *machine) demand(ctx context.Context, level string, r provider.Resources) error {
	if err := m.demandLevel(ctx, level); err != nil {
		return err
	}
	if r.Swap == provider.SwapRequire && !m.tree.Has("swap") {
		return refusal(provider.Unsupported, `resources: swap is "require" and this machine can't limit swap; write swap = "auto"`)
	}
	return nil
}

// limitations tells what can't be enforced here.
func (m *machine) limitations() []provider.Limitation {
	var out []provider.Limitation
	tell := func(name, reason string) {
		out = append(out, provider.Limitation{Name: name, Reason: reason})
	}
	root := os.Geteuid() == 0
	if !m.tree.Has("memory") {
		tell("memory", "no memory cgroup ("+m.tree.Lacking("memory")+"): the limit holds for the private memory of each process only (RLIMIT_DATA), not for what is mapped shared, not for the sandbox; with isolation = \"full\" sandboxes are refused")
	}
	if !m.tree.Has("swap") {
		tell("swap", `swap is not limited with swap = "auto", and swap = "require" is refused`)
	}
	if !m.tree.Has("pids") {
		tell("pids", "no pids cgroup ("+m.tree.Lacking("pids")+"): RLIMIT_NPROC of the sandbox's user namespace limits them instead; with isolation = \"full\" sandboxes are refused")
	}
	if !m.tree.Has("cpu") {
		tell("cpus", "no cpu cgroup ("+m.tree.Lacking("cpu")+"): CPU time is not limited; with isolation = \"full\" sandboxes are refused")
	}
	if m.tree.Version() == 1 {
		tell("cgroup", "cgroup version 1: an out-of-memory kill ends one process, not all of the sandbox's")
	}
	switch {
	case m.landlock == 0:
		tell("landlock", "the kernel has no Landlock, or it is off at boot: read-only mounts and namespaces alone confine")
	case m.landlock < 6:
		tell("landlock", fmt.Sprintf("Landlock %d: it does not confine signals and abstract sockets; namespaces do", m.landlock))
	}
	if groups, err := os.Getgroups(); !root && err == nil && hasOther(groups, os.Getegid()) {
		tell("groups", "the host runs as a user with supplementary groups, which the kernel does not let it drop: sandboxes keep them, and with them the right to files and sockets of those groups in their mounts")
	}
	if pattern, err := os.ReadFile(corePattern); err == nil && strings.HasPrefix(string(pattern), "|") && stage.CantRefuseCores() {
		tell("cores", "the host's own limit of core dumps is 0, and it can't raise it: a crash in a sandbox starts the program that "+corePattern+" names; give the host LimitCORE=1 or more (ulimit -Hc)")
	}
	if uid, _, err := parseUser(defaultUser); root && err == nil && !stage.OwnerMapped(uid) {
		tell("owner", "this host's user namespace has no spare user ids (a container with few of them): what sandboxes use of inotify instances, pending signals and such is charged to the host's root, who may run out of them")
	}
	if why := stage.CantTake(); why != nil {
		tell("endpoints", fmt.Sprintf("connections can't be taken out of a sandbox (%v), and are sent: one sandbox can keep the others of its user from being reached; allow pidfd_getfd, and a kernel.yama.ptrace_scope below 3", why))
	}
	if !root {
		tell("users", "the host is not root: all sandboxes have its user id, and namespaces alone keep them apart")
	}
	tell("disk", "writable mounts have no quota: a sandbox can fill the file systems they are on; /tmp and /dev/shm have tmp_size")
	tell("egress", "a sandbox's network has nothing but its loopback interface: it reaches nothing outside")
	return out
}

func hasOther(groups []int, own int) bool {
	for _, g := range groups {
		if g != own {
			return true
		}
	}
	return false
}

// version tells what sandboxes are isolated by here, for people.
func (m *machine) version() string {
	parts := []string{"user, mount, pid, ipc, uts, network namespaces", "fresh root", "no capabilities", "no_new_privs", "seccomp"}
	if m.landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock %d", m.landlock))
	}
	if v := m.tree.Version(); v > 0 {
		var has []string
		for _, c := range []string{"memory", "swap", "cpu", "pids"} {
			if m.tree.Has(c) {
				has = append(has, c)
			}
		}
		parts = append(parts, fmt.Sprintf("cgroup v%d (%s)", v, strings.Join(has, ", ")))
	}
	return "Linux " + m.release + ": " + strings.Join(parts, ", ")
}
