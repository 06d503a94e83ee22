package stage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
)

// The descriptors that an init begins with, beside stdin, stdout and stderr.
const (
	initSocket  = 3 + iota // stream: reads a Blank and an initOrder, writes what the start came to
	initControl            // packets to and from the shim; its end is the shim's end
)

// initOrder is the order as the init gets it, with the trees, as openTrees names them, where
// the shim has made them, and what opens the groups that it is to join.
type initOrder struct {
	Order
	Groups int // how many of the descriptors, the last ones, are for groups
	groups []int
}

// setupCaps are what the init has in its user namespace until it has set up the sandbox.
var setupCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN}

// child is an init that was started, as its shim sees it.
type child struct {
	pid            int
	socket         int // of its initSocket
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

// pair returns two sockets.
func (d *descriptors) pair(kind int) (one, other int) {
	var p [2]int
	if d.err == nil {
		if p, d.err = unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0); d.err != nil {
			d.err = fmt.Errorf("socketpair: %w", d.err)
		}
	}
	return p[0], p[1]
}

// pipe returns the reading and the writing end.
func (d *descriptors) pipe() (r, w int) {
	var p [2]int
	if d.err == nil {
		d.err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	}
	return p[0], p[1]
}

// startInit starts the init in its namespaces, and tells it of what kind it is. The calling
// thread is the parent whose death kills it: it must be one that stays.
func (s *shim) startInit() (*child, error) {
	runtime.LockOSThread() // for ever; see above
	if s.blank.on(Rlimits) {
		if err := noCores(); err != nil { // here, where root may still raise a limit
			return nil, fmt.Errorf("rlimits: %w", err)
		}
	}
	var theirs, ours descriptors
	defer theirs.close()
	socket, theirSocket := ours.pair(unix.SOCK_STREAM)
	control, theirControl := ours.pair(unix.SOCK_SEQPACKET)
	outR, outW := ours.pipe()
	errR, errW := ours.pipe()
	if ours.err != nil {
		return nil, ours.err
	}
	ours.keep(socket, control, outR, errR)
	theirs.keep(theirSocket, theirControl, outW, errW)
	fail := func(err error) (*child, error) {
		ours.close()
		return nil, err
	}
	if s.blank.Privileged { // /dev/stdout is opened anew, and a pipe is its maker's alone: mode 0600; see pipe(7)
		for _, w := range []int{outW, errW} {
			if err := unix.Fchown(w, s.blank.UID, s.blank.GID); err != nil {
				return fail(fmt.Errorf("the output: %w", err))
			}
		}
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	theirs.keep(null)
	files := []uintptr{uintptr(null), uintptr(outW), uintptr(errW), uintptr(theirSocket), uintptr(theirControl)}
	err = s.asOwner(func() (err error) {
		s.init, err = syscall.ForkExec("/proc/self/exe", []string{InitName, Nameless}, &syscall.ProcAttr{
			Dir: "/", Env: append(Environment(), "GOGC=off"), Files: files, Sys: s.blank.namespaces()})
		return err
	})
	if err != nil {
		return fail(fmt.Errorf("the namespaces can't be made: %w", err))
	}
	if err := giveBlocking(socket, &s.blank, nil); err != nil {
		s.endInit()
		return fail(fmt.Errorf("%w (%w)", errNoInit, err))
	}
	c := &child{pid: s.init, socket: socket}
	for to, fd := range map[**os.File]int{&c.stdout: outR, &c.stderr: errR, &c.control: control} {
		if *to, err = newSocket(fd, "sandbox"); err != nil {
			return nil, err // and this process ends
		}
	}
	return c, nil
}

// endInit kills the init, and all of its namespace.
func (s *shim) endInit() {
	_ = syscall.Kill(s.init, syscall.SIGKILL)
	wait(s.init)
}

// pass gives the init its order, and what it must not or can't open by itself: the trees of
// its root, and the way into its cgroups. Groups that it can't join, it is put into.
func (s *shim) pass(c *child) error {
	var fds descriptors
	defer fds.close()
	if s.order.Privileged {
		trees, err := openTrees(&s.order)
		if err != nil {
			return err
		}
		fds.keep(trees...)
	}
	groups := 0
	if s.order.on(Cgroups) {
		open, rest, err := cgroup.Open(s.order.CgroupDirs)
		if err != nil {
			return err
		}
		fds.keep(open...)
		groups = len(open)
		for _, dir := range rest {
			if err := cgroup.Add(dir, s.init); err != nil {
				return err
			}
		}
	}
	if err := giveBlocking(c.socket, &initOrder{Order: s.order, Groups: groups}, fds.all); err != nil {
		return fmt.Errorf("%w (%w)", errNoInit, err)
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
func (b *Blank) namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS, AmbientCaps: setupCaps}
	if b.Privileged {
		attr.Credential = &syscall.Credential{Uid: uint32(b.UID), Gid: uint32(b.GID)} // and no other groups
	}
	for mechanism, flag := range map[string]uintptr{PID: syscall.CLONE_NEWPID, IPC: syscall.CLONE_NEWIPC,
		UTS: syscall.CLONE_NEWUTS, Net: syscall.CLONE_NEWNET, User: syscall.CLONE_NEWUSER} {
		if b.on(mechanism) {
			attr.Cloneflags |= flag
		}
	}
	if b.on(User) {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: b.UID, HostID: b.UID, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: b.GID, HostID: b.GID, Size: 1}}
		attr.GidMappingsEnableSetgroups = b.Privileged
		attr.AmbientCaps = append(slices.Clone(setupCaps), unix.CAP_SYS_RESOURCE) // for the namespace's limits
	}
	if !b.on(Caps) { // then it has one that it never needs, for the test of what stops it
		attr.AmbientCaps = append(slices.Clone(attr.AmbientCaps), unix.CAP_MKNOD)
	}
	return attr
}

// awaitStart returns why the command does not run, "" when it does.
func (c *child) awaitStart() string {
	b, err := readAll(c.socket)
	switch {
	case string(b) == started:
		return ""
	case len(b) > 0:
		return string(b)
	case err != nil && !errors.Is(err, unix.ECONNRESET): // it had something to read
		return err.Error()
	}
	return errNoInit.Error()
}

var errNoInit = errors.New("the sandbox's init ended before the command ran")

// started is what an init says when the command runs.
const started = "started"

// Environment is all that a shim is given of one: settings of its Go runtime.
func Environment() []string {
	env := []string{"GOMAXPROCS=1"}
	if raceSetting != "" {
		env = append(env, raceSetting)
	}
	return env
}
