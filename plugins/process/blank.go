//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
)

// blank is a shim without an order, with the init that it has made. It belongs to this
// process, and ends with it. From its order on it belongs to the sandbox.
type blank struct {
	kind   stage.Blank
	socket *os.File // its end is the blank's end
	shim   *shimProcess
}

// startBlank executes this binary as a shim. It has a session of its own, no environment, and
// nothing of this process but its socket.
func (p *Provider) startBlank(kind stage.Blank) (*blank, error) {
	exe, err := p.machine.self.path()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	b := &blank{kind: kind, socket: os.NewFile(uintptr(pair[0]), "shim")}
	var pidfd int
	_, err = syscall.ForkExec(exe, []string{stage.ShimName, stage.Nameless}, &syscall.ProcAttr{
		Dir: "/", Env: stage.Environment(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1])},
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd}})
	if err == nil {
		b.shim, err = newShimProcess(pidfd)
	}
	if err == nil {
		if err = stage.Give(b.socket, &kind); err != nil {
			b.end()
			return nil, err
		}
		return b, nil
	}
	b.socket.Close()
	return nil, err
}

// give hands a sandbox over: its lock, its endpoint, its order. It returns when the command runs
// or can't.
func (b *blank) give(ctx context.Context, plan *plan) error {
	o := &plan.order
	log, err := os.OpenFile(filepath.Join(o.Dir, fileShimLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	files := []int{int(plan.lock.Fd()), int(log.Fd())}
	if plan.listener >= 0 {
		files = append(files, plan.listener)
	}
	stop := context.AfterFunc(ctx, func() { _ = b.socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	given := stage.Give(b.socket, o, files...)
	text, err := io.ReadAll(io.LimitReader(b.socket, 1<<20)) // a shim that took nothing may have told why
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	var result stage.Result
	if len(text) > 0 {
		err = json.Unmarshal(text, &result)
	}
	switch {
	case err != nil || given != nil && result.Error == "" || len(text) == 0:
		return shimDied(o.Dir, errors.Join(given, err))
	case result.Error != "":
		return startRefused(result.Error)
	}
	return nil
}

// alive reports whether the shim has not ended.
func (b *blank) alive() bool {
	alive := false
	_ = b.shim.control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		alive = err == nil && n == 0
	})
	return alive
}

// end ends a shim that has no order, and returns when it is gone.
func (b *blank) end() {
	b.socket.Close() // it ends by itself, with its init
	defer b.shim.close()
	patience, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	if b.shim.await(patience) != nil {
		b.shim.signal(unix.SIGKILL)
		_ = b.shim.await(context.Background())
	}
	b.shim.reap()
}
