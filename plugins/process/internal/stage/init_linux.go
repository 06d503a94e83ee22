package stage

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
)

func runInit() int {
	setName(InitComm)
	runtime.LockOSThread() // what is dropped for the command, is dropped on this thread
	unix.CloseOnExec(initSocket)
	unix.CloseOnExec(initControl)
	pid, order, err := live()
	if err != nil {
		_ = writeAll(initSocket, []byte(err.Error()))
		return 1
	}
	_ = writeAll(initSocket, []byte(started))
	unix.Close(initSocket)
	go serveControl(order.Port, pid)
	// The thread that the command was made by is in its groups. The others are this program's
	// own, and come after: to stop each takes longer than all else together.
	if err := cgroup.JoinAll(order.groups); err != nil {
		return 1
	}
	return reap(pid)
}

// live does first what needs no order, then what the order says.
func live() (pid int, order initOrder, err error) {
	if err := dieWithShim(); err != nil {
		return 0, order, err
	}
	var b Blank
	if _, err := take(initSocket, &b); err != nil {
		return 0, order, fmt.Errorf("the order can't be read: %w", err)
	}
	if err := prepare(&b); err != nil {
		return 0, order, err
	}
	fds, err := take(initSocket, &order)
	if err != nil {
		return 0, order, fmt.Errorf("the order can't be read: %w", err)
	}
	setID(order.ID)
	trees := len(fds) - order.Groups
	order.groups = fds[trees:]
	if err := cgroup.Join(order.groups); err != nil {
		return 0, order, err
	}
	pid, err = start(&order.Order, fds[:trees])
	return pid, order, err
}

// prepare makes what is the same in all sandboxes of a kind. From then on a process that
// waits for its order holds nothing of the host's file systems, unless the host is not root:
// then it has to open the host's trees itself, and as they are when the order comes.
func prepare(b *Blank) error {
	if b.on(Net) {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("the loopback interface: %w", err)
		}
	}
	if b.on(Root) && b.Privileged {
		return leaveHost(b)
	}
	return nil
}

// start makes the sandbox around this process and starts the command in it.
func start(o *Order, trees []int) (pid int, err error) {
	if o.on(UTS) {
		if err := unix.Sethostname([]byte(hostname(o.ID))); err != nil {
			return 0, fmt.Errorf("hostname: %w", err)
		}
	}
	if o.on(Cgroupns) {
		_ = unix.Unshare(unix.CLONE_NEWCGROUP) // hides names; nothing rests on it
	}
	if err := makeRoot(o, trees); err != nil {
		return 0, err
	}
	program, err := lookPath(o)
	if err != nil {
		return 0, err
	}
	if err := confine(o); err != nil {
		return 0, err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(null)
	pid, err = syscall.ForkExec(program, o.Command, &syscall.ProcAttr{Dir: o.WorkDir, Env: o.Env,
		Files: []uintptr{uintptr(null), 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return 0, fmt.Errorf("the command %q can't be executed in %s: %w", program, o.WorkDir, err)
	}
	return pid, nil
}

// setName is what ps shows; the name of an executed descriptor tells nothing.
func setName(name string) {
	b := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// setID puts the sandbox's id where ps reads it: over the argument that holds its place.
func setID(id string) {
	if len(os.Args) != 2 || len(id) > len(os.Args[1]) {
		return
	}
	place := unsafe.Slice(unsafe.StringData(os.Args[1]), len(os.Args[1])) // of the stack that execve made
	clear(place[copy(place, id):])
}

// hostname is short and lets an operator find the sandbox.
func hostname(id string) string {
	if len(id) > 12 {
		id = id[len(id)-12:]
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '_' {
			return '-'
		}
		return r
	}, "box-"+id)
}

// dieWithShim has the kernel kill this process when the thread of the shim that made it
// ends, and ends it when that has happened already.
func dieWithShim() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("pdeathsig: %w", err)
	}
	var poll = []unix.PollFd{{Fd: initControl, Events: unix.POLLIN}}
	if n, _ := unix.Poll(poll, 0); n > 0 && poll[0].Revents&unix.POLLHUP != 0 {
		os.Exit(1)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// lookPath finds the command in the sandbox's root, by the sandbox's PATH.
func lookPath(o *Order) (string, error) {
	name := o.Command[0]
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(o.WorkDir, name)
		}
		return name, nil
	}
	for _, kv := range o.Env {
		if list, ok := strings.CutPrefix(kv, "PATH="); ok {
			for dir := range strings.SplitSeq(list, ":") {
				file := path.Join(dir, name)
				if !path.IsAbs(file) {
					continue
				}
				if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
					return file, nil
				}
			}
		}
	}
	return "", fmt.Errorf("the command %q is not found in the sandbox's PATH", name)
}

// reap waits for all that this process inherits, until the command ends. Then the kernel
// kills the rest, because this process does.
func reap(command int) int {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == nil && pid == command {
			return exitCode(status)
		}
		if err == syscall.ECHILD {
			return 1
		}
	}
}
