//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
)

// shimProcess is a shim that is held by a descriptor: it can be signalled and waited for,
// and never mistaken for another. See pidfd_open(2).
type shimProcess struct{ f *os.File }

// shim takes hold of a sandbox's shim; nil when it has ended. The lock is looked at again
// once the process is held: a shim that holds it has not been replaced by another process.
func (b *box) shim() (*shimProcess, error) {
	fd, err := unix.PidfdOpen(b.run.Shim, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := newShimProcess(fd)
	if err != nil {
		return nil, err
	}
	after, err := look(b.dir)
	if err != nil || !after.held || after.rec.ID != b.rec.ID || after.run.Shim != b.run.Shim {
		s.close()
		return nil, nil
	}
	return s, nil
}

// awaitInit returns when a sandbox whose shim has ended runs no more. One that was killed
// leaves it to the kernel to kill the init and all of its namespace, which takes a moment.
func (b *box) awaitInit(ctx context.Context) error {
	if b.run.Init == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(b.run.Init, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	init, err := newShimProcess(fd)
	if err != nil {
		return err
	}
	defer init.close()
	// The pid may be another's by now. An init whose shim lives does not end, whosever it is;
	// one without a shim is about to.
	name, parent := nameAndParent(b.run.Init)
	if name != stage.InitComm {
		return nil
	}
	if of, _ := nameAndParent(parent); of == stage.ShimComm {
		if held, err := isHeld(filepath.Join(b.dir, stage.FileLock)); parent != b.run.Shim || held || err != nil {
			return nil
		}
	}
	return init.await(ctx)
}

// nameAndParent are what proc_pid_stat(5) tells of a process; "" for one that is gone.
func nameAndParent(pid int) (name string, parent int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), "(")
	end := strings.LastIndexByte(rest, ')')
	if end < 0 {
		return "", 0
	}
	if f := strings.Fields(rest[end+1:]); len(f) > 1 {
		parent, _ = strconv.Atoi(f[1])
	}
	return rest[:end], parent
}

// newShimProcess takes a pidfd over. Its readiness is watched by the runtime's poller, so
// that waiting costs no thread and ends with close.
func newShimProcess(fd int) (*shimProcess, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &shimProcess{os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (s *shimProcess) close() { _ = s.f.Close() }

// signal sends a signal; a shim that has ended takes none.
func (s *shimProcess) signal(sig unix.Signal) {
	_ = s.control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
}

func (s *shimProcess) control(f func(fd uintptr)) error {
	raw, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(f)
}

// await returns when the shim has ended. Errors: those of ctx, and os.ErrClosed.
func (s *shimProcess) await(ctx context.Context) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = s.f.SetReadDeadline(time.Unix(1, 0)); close(cut) })
	defer func() {
		if !stop() { // for the next call
			<-cut
			_ = s.f.SetReadDeadline(time.Time{})
		}
	}()
	raw, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return err == nil && n > 0
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// reap takes a shim that has ended off the kernel's list, where it is this process's child.
func (s *shimProcess) reap() {
	_ = s.control(func(fd uintptr) { _ = unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil) })
}

func ptr(p *uint32) uintptr { return uintptr(unsafe.Pointer(p)) }
