package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/outlog"
)

// lastWords is how long a shim reads on when its sandbox has ended.
const lastWords = 500 * time.Millisecond

// shim is the parent of one sandbox.
type shim struct {
	blank    Blank
	order    Order
	listener int // the endpoint's; with Order.Port
	answered bool
	init     int // pid
	logs     *outlog.Writer
}

func runShim() (code int) {
	setName(ShimComm)
	// Neither its socket, nor what the plugin may have inherited, goes to a sandbox.
	if err := unix.CloseRange(ShimSocket, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 1
	}
	s := &shim{}
	if err := s.run(); err != nil {
		s.answer(Result{Error: err.Error()})
		note("%v", err)
		return 1
	}
	return 0
}

// answer tells the plugin what the start came to. It may be gone.
func (s *shim) answer(r Result) {
	if s.answered {
		return
	}
	s.answered = true
	if b, err := json.Marshal(r); err == nil {
		_, _ = unix.Write(ShimSocket, b)
	}
	unix.Close(ShimSocket)
}

// run is the shim's life. Until the command runs it is one thread that makes one blocking
// call after the other: goroutines would have to take turns on threads, which takes longer
// than what they do. For that time it takes no orders but SIGKILL.
func (s *shim) run() error {
	if _, err := take(ShimSocket, &s.blank); err != nil {
		return unlessUnused(err)
	}
	c, err := s.startInit()
	if err != nil {
		return err
	}
	// Caught and dropped. Ignored signals would also be ignored by what is executed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE)
	orders := make(chan os.Signal, 4)
	signal.Notify(orders, SignalTerm, SignalKill)
	if err := s.awaitOrder(c); err != nil {
		s.endInit()
		return unlessUnused(err)
	}
	for len(orders) > 0 {
		<-orders // they were for nobody
	}
	if err := s.begin(c); err != nil {
		s.endInit()
		return err
	}
	failed := c.awaitStart()
	if failed == "" {
		go s.obey(orders, c.control)
		if err := s.writeRun(true); err != nil {
			failed = err.Error()
			_ = syscall.Kill(s.init, syscall.SIGKILL)
		}
	}
	if failed == "" {
		s.answer(Result{Pid: s.init})
		if s.order.Port != 0 {
			go s.newCarrier(c.control).carry(s.listener)
		}
		dropToKill()
	}
	logged := c.log(s.logs)
	status := wait(s.init)
	// With the init went all that could write, unless the sandbox has handed its output to
	// somebody else; then what is in the pipes is all that is taken.
	_ = c.stdout.SetReadDeadline(time.Now().Add(lastWords))
	_ = c.stderr.SetReadDeadline(time.Now().Add(lastWords))
	<-logged
	_ = s.logs.Close()
	end := Exit{Code: exitCode(status), At: time.Now().UnixNano()}
	end.OOMKilled = status.Signaled() || end.Code == 128+int(syscall.SIGKILL)
	end.OOMKilled = end.OOMKilled && cgroup.CountOOM(s.order.OOMFile) > 0
	if failed != "" {
		return errors.New(failed)
	}
	return writeJSON(s.order.Dir, FileExit, end)
}

// unlessUnused is nil where the plugin has ended the shim before it had an order.
func unlessUnused(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// awaitOrder returns when the shim has its order, and what comes with it. io.EOF: there is none
// to come. An init that ends meanwhile is an error.
func (s *shim) awaitOrder(c *child) error {
	either := []unix.PollFd{{Fd: ShimSocket, Events: unix.POLLIN}, {Fd: int32(c.socket), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(either, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if either[1].Revents != 0 { // it has nothing else to say
			return errors.New(c.awaitStart())
		}
		if either[0].Revents != 0 {
			break
		}
	}
	fds, err := take(ShimSocket, &s.order)
	if errors.Is(err, io.EOF) {
		return err
	}
	want := 2
	if s.order.Port != 0 {
		want++
	}
	switch {
	case err != nil:
		return fmt.Errorf("the order can't be read: %w", err)
	case len(fds) != want:
		return fmt.Errorf("the order came with %d files, not with %d", len(fds), want)
	case !s.order.Same(s.blank):
		return errors.New("the order is for a sandbox of another kind")
	}
	setID(s.order.ID)
	// The first is the lock, which is held as long as it is open, and never touched.
	if err := unix.Dup3(fds[1], int(os.Stderr.Fd()), unix.O_CLOEXEC); err != nil {
		return err
	}
	unix.Close(fds[1])
	if want > 2 {
		s.listener = fds[2]
	}
	return nil
}

// begin makes the shim the sandbox's, and passes the order on.
func (s *shim) begin(c *child) error {
	if err := s.writeRun(false); err != nil { // first: what there is not tells that nothing has begun
		return err
	}
	var err error
	if s.logs, err = outlog.NewWriter(path.Join(s.order.Dir, FileLog), s.order.LogBytes, s.order.LogFiles); err != nil {
		return fmt.Errorf("the log can't be written: %w", err)
	}
	if err = s.pass(c); errors.Is(err, errNoInit) {
		return nil // it may have told why
	}
	return err
}

// log copies the sandbox's output until its end, and then closes what it returns.
func (c *child) log(to *outlog.Writer) <-chan struct{} {
	var both sync.WaitGroup
	both.Go(func() { to.Copy(c.stdout, false) })
	both.Go(func() { to.Copy(c.stderr, true) })
	done := make(chan struct{})
	go func() {
		both.Wait()
		close(done)
	}()
	return done
}

// obey carries out the orders that come by signal.
func (s *shim) obey(orders <-chan os.Signal, control *os.File) {
	for sig := range orders {
		if sig == SignalKill {
			_ = syscall.Kill(s.init, syscall.SIGKILL) // and the kernel all of its namespace
			continue
		}
		_ = send(control, []byte{0, 0, 0, 0, askTerm}, -1)
	}
}

func (s *shim) writeRun(up bool) error {
	return writeJSON(s.order.Dir, FileRun, Run{Shim: os.Getpid(), Init: s.init, Up: up})
}

// writeJSON puts a file in place at once: a reader sees all of it or nothing.
func writeJSON(dir, name string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file := path.Join(dir, name)
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// readAll reads a descriptor to its end, by blocking calls, and closes it.
func readAll(fd int) ([]byte, error) {
	defer unix.Close(fd)
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, err
	}
	all := make([]byte, 0, 32<<10)
	for {
		if len(all) == cap(all) {
			all = append(all, 0)[:len(all)]
		}
		n, err := unix.Read(fd, all[len(all):cap(all)])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return all, err
		case n == 0:
			return all, nil
		default:
			all = all[:len(all)+n]
		}
	}
}

// wait reaps a child.
func wait(pid int) syscall.WaitStatus {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status
		}
	}
}

// exitCode is the shell's: 128 and the signal's number where a signal ended it.
func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
