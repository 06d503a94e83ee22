package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
)

// The descriptors that an init begins with, beside stdin, stdout and stderr.
const (
	initOrder   = 3 + iota // read: the order, up to the end of file
	initResult             // write: nothing when the command runs, else why not
	initControl            // a socket to the shim; its end is the shim's end
	initTrees              // the first of the trees, as treesOf names them; only with Order.Privileged
)

// setupCaps are what the init has in its user namespace until it has set up the sandbox.
var setupCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN}

// child is an init that was started, as its shim sees it.
type child struct {
	pid            int
	result         int // descriptor
	stdout, stderr *os.File
	control        *os.File
}

// descriptors are what is opened on the way to a child.
type descriptors struct {
	all []int
	err error
}

func (d *descriptors) keep(fds ...int) { d.all = append(d.all, fds...) }

func (d *descriptors) close() {
	for _, fd := range d.all {
		unix.Close(fd)
	}
}

// pipe returns the reading and the writing end.
func (d *descriptors) pipe() (r, w int) {
	var p [2]int
	if d.err == nil {
		d.err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	}
	return p[0], p[1]
}

// startInit starts the init in its namespaces and its cgroups, and gives it its order. The
// calling thread is the parent whose death kills it: it must be one that stays.
func (s *shim) startInit() (*child, error) {
	runtime.LockOSThread() // for ever; see above
	var theirs, ours descriptors
	defer theirs.close()
	orderR, orderW := ours.pipe()
	resultR, resultW := ours.pipe()
	outR, outW := ours.pipe()
	errR, errW := ours.pipe()
	if ours.err != nil {
		return nil, ours.err
	}
	ours.keep(orderW, resultR, outR, errR)
	theirs.keep(orderR, resultW, outW, errW)
	fail := func(err error) (*child, error) {
		ours.close()
		return nil, err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unix.Close(null)
		return fail(fmt.Errorf("socketpair: %w", err))
	}
	ours.keep(pair[0])
	theirs.keep(null, pair[1])
	files := []uintptr{uintptr(null), uintptr(outW), uintptr(errW), uintptr(orderR), uintptr(resultW), uintptr(pair[1])}
	if s.order.Privileged {
		trees, err := openTrees(&s.order)
		if err != nil {
			return fail(err)
		}
		theirs.keep(trees...)
		for _, fd := range trees {
			files = append(files, uintptr(fd))
		}
	}
	order, err := json.Marshal(&s.order)
	if err != nil {
		return fail(err)
	}
	leave, inside, err := s.enter()
	if err != nil {
		return fail(err)
	}
	s.init, err = syscall.ForkExec("/proc/self/exe", []string{InitName, s.order.ID}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1", "GOGC=off"}, Files: files, Sys: s.namespaces()})
	if inside {
		if back := leave(); back != nil { // it would be killed with its sandbox
			if err == nil {
				_ = syscall.Kill(s.init, syscall.SIGKILL)
				wait(s.init)
			}
			return fail(fmt.Errorf("the shim can't leave the sandbox's cgroup: %w", back))
		}
	}
	if err != nil {
		return fail(fmt.Errorf("the namespaces can't be made: %w", err))
	}
	if !inside {
		err = s.admit()
	}
	if err == nil {
		err = writeAll(orderW, order)
	}
	unix.Close(orderW)
	ours.all = ours.all[1:] // without orderW
	if err != nil {
		_ = syscall.Kill(s.init, syscall.SIGKILL)
		wait(s.init)
		return fail(err)
	}
	c := &child{pid: s.init, result: resultR}
	for to, fd := range map[**os.File]int{&c.stdout: outR, &c.stderr: errR, &c.control: pair[0]} {
		if *to, err = newSocket(fd, "sandbox"); err != nil {
			return nil, err // and this process ends
		}
	}
	return c, nil
}

// enter puts this thread into the sandbox's cgroups, where that is the fast way.
func (s *shim) enter() (leave func() error, inside bool, err error) {
	if !s.order.on(Cgroups) {
		return nil, false, nil
	}
	return cgroup.Enter(s.order.CgroupDirs)
}

// admit puts the init, which waits for its order, into its cgroups.
func (s *shim) admit() error {
	if !s.order.on(Cgroups) {
		return nil
	}
	for _, dir := range s.order.CgroupDirs {
		if err := cgroup.Add(dir, s.init); err != nil {
			return err
		}
	}
	return nil
}

// writeAll writes by blocking calls.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(0, n):]
	}
	return nil
}

// namespaces are those that the init begins in.
func (s *shim) namespaces() *syscall.SysProcAttr {
	o := &s.order
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS, AmbientCaps: setupCaps}
	if o.Privileged {
		attr.Credential = &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.GID)} // and no other groups
	}
	for mechanism, flag := range map[string]uintptr{PID: syscall.CLONE_NEWPID, IPC: syscall.CLONE_NEWIPC,
		UTS: syscall.CLONE_NEWUTS, Net: syscall.CLONE_NEWNET, User: syscall.CLONE_NEWUSER} {
		if o.on(mechanism) {
			attr.Cloneflags |= flag
		}
	}
	if o.on(User) {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: o.UID, HostID: o.UID, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: o.GID, HostID: o.GID, Size: 1}}
		attr.GidMappingsEnableSetgroups = o.Privileged
	}
	return attr
}

// awaitStart returns why the command does not run, "" when it does.
func (c *child) awaitStart() string {
	b, err := readAll(c.result)
	switch {
	case err != nil:
		return err.Error()
	case len(b) == 0:
		return "the sandbox's init ended before the command ran"
	case string(b) == started:
		return ""
	}
	return string(b)
}

// started is what an init says when the command runs.
const started = "started"
