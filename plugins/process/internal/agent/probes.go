//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probes are what a sandbox may try. The error is the kernel's refusal.
var probes = map[string]func(args []string) (string, error){
	"read": func(args []string) (string, error) {
		b, err := os.ReadFile(args[0])
		return string(b), err
	},
	"write": func(args []string) (string, error) {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return "", err
		}
		_, err = f.WriteString(args[1])
		return "written", errors.Join(err, f.Close())
	},
	"open": func(args []string) (string, error) {
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return "", err
		}
		return "open", f.Close()
	},
	"processes": processes,
	"signal": func(args []string) (string, error) {
		pid, _ := strconv.Atoi(args[0])
		return "delivered", syscall.Kill(pid, 0)
	},
	"ptrace": func([]string) (string, error) { return "traced", call(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0) },
	"seize": func(args []string) (string, error) {
		pid, _ := strconv.Atoi(args[0])
		return "traced", unix.PtraceSeize(pid) // until this process ends
	},
	"mknod": func(args []string) (string, error) {
		if err := unix.Mknod(args[0], unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil { // that of /dev/null
			return "", err
		}
		return "made", os.Remove(args[0])
	},
	"mount": func([]string) (string, error) {
		return "mounted", unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "")
	},
	"userns": func([]string) (string, error) {
		cmd := exec.Command("/proc/self/exe", "-exit", "0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		return "made", cmd.Run()
	},
	"unshare": func([]string) (string, error) { return "unshared", unix.Unshare(unix.CLONE_NEWUTS) },
	"suid": func(args []string) (string, error) {
		out, err := exec.Command(args[0], "-whoami").Output()
		return strings.TrimSpace(string(out)), err
	},
	"session-keyring": func([]string) (string, error) {
		id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		return strconv.Itoa(id), err
	},
	"key": func(args []string) (string, error) {
		id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", args[0], 0)
		if err != nil {
			return "", err
		}
		b := make([]byte, 256)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, b, 0)
		return string(b[:max(0, min(n, len(b)))]), err
	},
	"call": func(args []string) (string, error) {
		var n [4]uintptr // the call and what it is given
		for i, a := range args {
			v, _ := strconv.Atoi(a)
			n[i] = uintptr(v)
		}
		return "called", call(n[0], n[1], n[2], n[3])
	},
	"fork":     forkBomb,
	"eat":      eat,
	"fill":     fill,
	"inflight": inFlight,
	"inotify":  inotify,
	"timers":   timers,
	"dial":     func(args []string) (string, error) { return dial(args[0], args[1]) },
	"hostname": func([]string) (string, error) { return os.Hostname() },
	"shm": func(args []string) (string, error) {
		key, _ := strconv.Atoi(args[0])
		_, _, e := unix.Syscall(unix.SYS_SHMGET, uintptr(key), 0, 0)
		return "found", asError(e)
	},
	"rlimit": func([]string) (string, error) {
		var l unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &l)
		return strconv.FormatUint(l.Max, 10), err
	},
	"lower-core": func([]string) (string, error) {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return "", err
		}
		var l unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &l)
		return fmt.Sprintf("core %d of %d", l.Cur, l.Max), err
	},
	"crash": func([]string) (string, error) {
		var l unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &l)
		if l.Cur = l.Max; err == nil {
			err = unix.Setrlimit(unix.RLIMIT_CORE, &l)
		}
		if err != nil {
			return "", err
		}
		cmd := exec.Command("/proc/self/exe", "-abort")
		cmd.Dir = "/tmp" // where a core can be written
		err = cmd.Run()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.CoreDump() {
			return "dumped", nil
		}
		return "", fmt.Errorf("no core: %w", err)
	},
	"spin": func([]string) (string, error) {
		for range 4 {
			go func() {
				for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
				}
			}()
		}
		return "spinning", nil
	},
}

// processes lists the commands of the processes that /proc shows, one on a line.
func processes([]string) (string, error) {
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	var out strings.Builder
	for _, file := range list {
		b, _ := os.ReadFile(file)
		fmt.Fprintln(&out, strings.ReplaceAll(string(b), "\x00", " "))
	}
	return out.String(), err
}

// forkBomb starts as many processes as it may, up to a number, and ends them again.
func forkBomb(args []string) (string, error) {
	want, _ := strconv.Atoi(args[0])
	var made []*exec.Cmd
	var failed error
	for len(made) < want {
		cmd := exec.Command("/proc/self/exe", "-never-listen")
		if failed = cmd.Start(); failed != nil {
			break
		}
		made = append(made, cmd)
	}
	for _, cmd := range made {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return strconv.Itoa(len(made)), failed
}

// inotify has so many instances at a time.
func inotify(args []string) (string, error) {
	want, _ := strconv.Atoi(args[0])
	for n := range want {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return "", fmt.Errorf("after %d: %w", n, err)
		}
		defer unix.Close(fd)
	}
	return "had", nil
}

// timers has so many of the kernel's timers at a time, each with its signal.
func timers(args []string) (string, error) {
	want, _ := strconv.Atoi(args[0])
	for n := range want {
		var id int32
		if err := call(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id))); err != nil {
			return "", fmt.Errorf("after %d: %w", n, err)
		}
		defer func() { _ = call(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0) }()
	}
	return "had", nil
}

// sent are the sockets that hold what inFlight has sent.
var sent []int

// inFlight sends so many descriptors to itself, and receives none of them.
func inFlight(args []string) (string, error) {
	want, _ := strconv.Atoi(args[0])
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(null)
	const most = 253 // in one message; see unix(7)
	fds := make([]int, most)
	for i := range fds {
		fds[i] = null
	}
	n := 0
	for n < want {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return "", err
		}
		sent = append(sent, pair[0], pair[1])
		for n < want {
			if err = unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
				break
			}
			n += most
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) { // the socket is full: another one
			return "", fmt.Errorf("after %d: %w", n, err)
		}
	}
	return strconv.Itoa(n), nil
}

// eat touches so many MiB of memory.
func eat(args []string) (string, error) {
	n, _ := strconv.Atoi(args[0])
	b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	ate.Store(true)
	return "eaten", unix.Munmap(b)
}

// fill writes so many MiB to a file, and removes it.
func fill(args []string) (string, error) {
	n, _ := strconv.Atoi(args[1])
	f, err := os.Create(args[0])
	if err != nil {
		return "", err
	}
	defer os.Remove(args[0])
	defer f.Close()
	for range n {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return "", err
		}
	}
	return "filled", nil
}

func dial(network, address string) (string, error) {
	c, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return "", err
	}
	return "connected", c.Close()
}

func call(number, a, b, c uintptr) error {
	_, _, e := unix.Syscall(number, a, b, c)
	return asError(e)
}

func asError(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
