//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

var escapes = []escape{
	// Files of the host.
	{name: "host file", stops: stage.Root, attempt: try("read", "{dir}/secret")},
	{name: "sysfs", stops: stage.Root, attempt: try("read", "/sys/kernel/mm/transparent_hugepage/enabled")},
	{name: "write to sysfs", stops: stage.Root, root: true, attempt: writesSys},
	{name: "write to a read-only mount", stops: stage.ReadOnly, without: []string{stage.Landlock}, attempt: try("write", "/readonly/file", "x")},
	{name: "write to a read-only mount", stops: stage.Landlock, without: []string{stage.ReadOnly}, attempt: try("write", "/readonly/file", "x")},
	{name: "a new device node", stops: stage.Seccomp, without: []string{stage.Caps, stage.User}, root: true, attempt: try("mknod", "/tmp/null")},
	{name: "a new device node", stops: stage.Caps, without: []string{stage.Seccomp, stage.User}, root: true, attempt: try("mknod", "/tmp/null")},
	{name: "a new device node", stops: stage.User, without: []string{stage.Seccomp, stage.Caps}, root: true, attempt: try("mknod", "/tmp/null")},
	{name: "device node", stops: stage.NoSuid, root: true, attempt: try("open", "/shared/null")},

	// A program that is setuid root on the host.
	{name: "setuid", stops: stage.NNP, without: []string{stage.NoSuid, stage.User, stage.Seccomp}, root: true, attempt: becomesRoot},
	{name: "setuid", stops: stage.NoSuid, without: []string{stage.NNP, stage.User, stage.Seccomp}, root: true, attempt: becomesRoot},
	{name: "setuid", stops: stage.User, without: []string{stage.NNP, stage.NoSuid, stage.Seccomp}, root: true, attempt: becomesRoot},

	// Processes.
	{name: "signal to a host process", stops: stage.PID, without: []string{stage.User, stage.Landlock}, root: true, attempt: try("signal", "{victim}")},
	{name: "signal to a host process", stops: stage.Landlock, without: []string{stage.PID, stage.User}, root: true, attempt: try("signal", "{victim}")},
	{name: "list of host processes", stops: stage.PID, without: []string{stage.User}, root: true, attempt: finds(always("-traceable"), "processes")},
	{name: "ptrace of a host process", stops: stage.PID, without: []string{stage.User, stage.Landlock, stage.Seccomp}, root: true, attempt: try("seize", "{victim}")},
	{name: "ptrace of a host process", stops: stage.Landlock, without: []string{stage.PID, stage.User, stage.Seccomp}, root: true, attempt: try("seize", "{victim}")},
	{name: "ptrace of a host process", stops: stage.Seccomp, without: []string{stage.PID, stage.User, stage.Landlock}, root: true, attempt: try("seize", "{victim}")},
	{name: "memory of the init", stops: stage.Hidden, attempt: try("open", "/proc/1/mem")},
	{name: "ptrace", stops: stage.Seccomp, attempt: try("ptrace")},

	// The kernel.
	{name: "mount", stops: stage.Caps, without: []string{stage.Seccomp, stage.Landlock}, attempt: try("mount")},
	{name: "mount", stops: stage.Seccomp, without: []string{stage.Caps, stage.Landlock}, attempt: try("mount")},
	{name: "mount", stops: stage.Landlock, without: []string{stage.Caps, stage.Seccomp}, attempt: try("mount")},
	{name: "new user namespace", stops: stage.Seccomp, attempt: try("userns")},
	{name: "unshare", stops: stage.Seccomp, without: []string{stage.Caps}, attempt: try("unshare")},
	{name: "keyring", stops: stage.Seccomp, attempt: try("session-keyring")},
	{name: "io_uring", stops: stage.Seccomp, attempt: notRefused(unix.SYS_IO_URING_SETUP)},
	{name: "socket of another family", stops: stage.Seccomp, attempt: notRefused(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM)},
	{name: "socketpair of another family", stops: stage.Seccomp, attempt: notRefused(unix.SYS_SOCKETPAIR, unix.AF_VSOCK, unix.SOCK_STREAM)},
	{name: "open_by_handle_at", stops: stage.Seccomp, attempt: notRefused(unix.SYS_OPEN_BY_HANDLE_AT)},
	{name: "hidden part of /proc", stops: stage.Masks, attempt: finds(always("CPU"), "read", "/proc/interrupts")},
	{name: "write to /proc/sys", stops: stage.Masks, without: []string{stage.Caps}, attempt: try("write", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "81")},
	{name: "core dump", stops: stage.Rlimits, attempt: dumpsCore},
	{name: "core limit", stops: stage.Seccomp, attempt: finds(always("core 0"), "lower-core")},

	// Talking to others.
	{name: "TCP to the host", stops: stage.Net, attempt: try("dial", "tcp", "{tcp}")},
	{name: "abstract socket of the host", stops: stage.Net, without: []string{stage.Landlock}, attempt: try("dial", "unix", "{abstract}")},
	{name: "abstract socket of the host", stops: stage.Landlock, without: []string{stage.Net}, attempt: try("dial", "unix", "{abstract}")},
	{name: "shared memory of the host", stops: stage.IPC, attempt: try("shm", "{shm}")},
	{name: "name of the host", stops: stage.UTS, attempt: finds(hostName, "hostname")},
	{name: "cgroup of the host", stops: stage.Cgroupns, root: true, cgroup: anyController, attempt: finds(always("berth-test"), "read", "/proc/self/cgroup")},

	// Using more than is given.
	{name: "fork bomb", stops: stage.Cgroups, root: true, cgroup: "pids", without: []string{stage.Rlimits}, change: pids(32), attempt: forks(100)},
	{name: "fork bomb", stops: stage.Rlimits, without: []string{stage.Cgroups}, change: pids(32), attempt: forks(100)},
	{name: "descriptors on the way", stops: stage.Rlimits, change: ownUser, attempt: sendsMore},
	{name: "endpoint of another sandbox", stops: stage.Taken, change: ownUser, attempt: cutsOff},
	{name: "what root may have", stops: stage.Owner, root: true, attempt: chargesRoot},
	{name: "a sandbox's secrets, from outside", stops: stage.Nobody, root: true, attempt: looksIn},
	{name: "inotify instances", stops: stage.Ucounts, change: ownUser, attempt: try("inotify", "40")},
	{name: "queued signals", stops: stage.Rlimits, change: ownUser, attempt: try("timers", "1100")},
	{name: "memory bomb", stops: stage.Cgroups, root: true, cgroup: "memory", change: func(s *provider.Spec, _ *lure) { s.Resources.MemoryBytes = 64 << 20 }, attempt: eats(256)},
	{name: "disk fill", stops: stage.TmpSize, change: tmpSize, attempt: try("fill", "/tmp/file", "8")},
	{name: "disk fill of /dev/shm", stops: stage.TmpSize, change: tmpSize, attempt: try("fill", "/dev/shm/file", "8")},
}

func hostName(*lure) string {
	name, _ := os.Hostname()
	return name
}

func pids(n int64) func(*provider.Spec, *lure) {
	return func(s *provider.Spec, _ *lure) { s.Resources.Pids = n; s.Resources.MemoryBytes = 1 << 30 }
}

func tmpSize(s *provider.Spec, _ *lure) { s.Config = []byte(`{"tmp_size": "1MiB"}`) }

// writesSys reports whether the sandbox could write to a file of /sys that its user may write.
func writesSys(t *testing.T, r *rig, s provider.Sandbox, x *lure) (bool, string) {
	if x.sys == "" {
		t.Skip("no cgroup can be made here")
	}
	text, ok := r.probe(s, "write", x.sys, "0")
	return ok, text
}

// dumpsCore reports whether a process that has raised its limit as far as it may and then
// crashes is dumped. A core_pattern that names a program can't be set for a test, and heeds
// no limit but 1: so the limit must be that.
func dumpsCore(t *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
	var host unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &host); err != nil {
		t.Fatal(err)
	}
	if host.Max == 0 && os.Geteuid() != 0 {
		t.Skip("the host's own limit is 0, which it can't raise")
	}
	limit, _ := r.probe(s, "rlimit")
	text, dumped := r.probe(s, "crash")
	return dumped || limit != "1", "RLIMIT_CORE " + limit + ", " + text
}

// ownUser gives the sandbox a user that nothing else on this machine has, for what the kernel
// counts by users.
func ownUser(s *provider.Spec, _ *lure) {
	if os.Geteuid() == 0 {
		s.Config = []byte(`{"user": "54331:54331"}`)
	}
}

// chargesRoot reports whether the sandbox's user namespace belongs to root, who is then charged
// for what is used in it.
func chargesRoot(t *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
	ns, err := os.Open("/proc/" + itoa(r.runOf(t, s).Init) + "/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	uid, err := unix.IoctlGetUint32(int(ns.Fd()), unix.NS_GET_OWNER_UID)
	if err != nil {
		t.Fatal(err)
	}
	return uid == 0, fmt.Sprint("it belongs to ", uid)
}

// looksIn reports whether a process of the machine that runs as the sandbox's user can read
// the environment of what runs in the sandbox.
func looksIn(t *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
	uid, gid, _ := parseUser(defaultUser)
	children := childrenOf(t, r.runOf(t, s).Init)
	if len(children) == 0 {
		t.Fatal("the init has no child")
	}
	cat := exec.Command("cat", "/proc/"+itoa(children[0])+"/environ")
	cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	text, err := cat.CombinedOutput()
	if err != nil && !strings.Contains(string(text), "Permission denied") {
		t.Fatalf("%v: %s", err, text)
	}
	return err == nil, fmt.Sprintf("%q", text)
}

// filesLimit is what the README tells of RLIMIT_NOFILE.
func filesLimit(t *testing.T) int {
	t.Helper()
	var host unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &host); err != nil {
		t.Fatal(err)
	}
	return int(min(65536, host.Max/2))
}

// sendsMore reports whether the sandbox could have more descriptors on the way than a process
// of it may have open, and the two messages that go through while that is found out.
func sendsMore(t *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
	text, ok := r.probe(s, "inflight", strconv.Itoa(filesLimit(t)+2*253))
	return ok, text
}

// cutsOff reports whether the sandbox, with as many descriptors on the way as it may have,
// keeps another one of its user from being reached.
func cutsOff(t *testing.T, r *rig, s provider.Sandbox, x *lure) (bool, string) {
	other := r.create(r.newSpec(func(s *provider.Spec) { ownUser(s, x) })).Sandbox
	defer r.delete(other)
	r.get(other, "/")
	text, ok := r.probe(s, "inflight", strconv.Itoa(filesLimit(t)+2*253))
	if ok || !strings.Contains(text, unix.ETOOMANYREFS.Error()) {
		t.Fatalf("the sandbox should have sent what it may: %s", text)
	}
	answer, err := r.http.Get("http://" + other.Endpoint.IP + ":" + strconv.Itoa(other.Endpoint.Port) + "/")
	if err == nil {
		answer.Body.Close()
	} else if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("the connection should fail at once: %v", err)
	}
	return err != nil, fmt.Sprintf("%s; the other: %v", text, err)
}

func becomesRoot(_ *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
	text, _ := r.probe(s, "suid", "/shared/suid")
	return text == "0", "uid " + text
}

// notRefused reports whether the filter lets a system call through to the kernel, which
// then does it, or refuses what it was given by another error.
func notRefused(numbers ...int) func(*testing.T, *rig, provider.Sandbox, *lure) (bool, string) {
	args := make([]string, len(numbers))
	for i, n := range numbers {
		args[i] = strconv.Itoa(n)
	}
	return func(_ *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
		text, ok := r.probe(s, "call", args...)
		return ok || !strings.Contains(text, unix.EPERM.Error()), text
	}
}

func forks(n int) func(*testing.T, *rig, provider.Sandbox, *lure) (bool, string) {
	return func(_ *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
		text, ok := r.probe(s, "fork", strconv.Itoa(n))
		return ok, text
	}
}

// eats reports whether the sandbox could use so many MiB. One that could not is gone.
func eats(n int) func(*testing.T, *rig, provider.Sandbox, *lure) (bool, string) {
	return func(t *testing.T, r *rig, s provider.Sandbox, _ *lure) (bool, string) {
		r.get(s, "/")
		go func() { // there may be no answer
			answer, err := r.http.Get("http://" + s.Endpoint.IP + ":" + strconv.Itoa(s.Endpoint.Port) + "/probe/eat?arg=" + strconv.Itoa(n))
			if err == nil {
				answer.Body.Close()
			}
		}()
		escaped := false
		await(t, "the memory bomb", func() bool {
			now, err := r.Get(t.Context(), provider.Ref{ID: s.ID})
			if err != nil || now.State == provider.StateExited {
				return true
			}
			status, err := r.http.Get("http://" + s.Endpoint.IP + ":" + strconv.Itoa(s.Endpoint.Port) + "/ate")
			if err != nil {
				return false
			}
			status.Body.Close()
			escaped = status.StatusCode == 200
			return escaped
		})
		return escaped, "eaten: " + strconv.FormatBool(escaped)
	}
}
