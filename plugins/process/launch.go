//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// fileShimLog is where a shim writes what goes wrong with itself.
const fileShimLog = "shim.log"

// launch starts the shim of a sandbox that has its name, and returns when the command runs
// or can't. The shim has a session of its own, no environment, and nothing of this
// process but what it is given: it lives on when this process and its group are killed.
func (p *Provider) launch(ctx context.Context, plan *plan) error {
	o := &plan.order
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer orderW.Close()
	resultR, resultW, err := os.Pipe()
	if err != nil {
		orderR.Close()
		return err
	}
	defer resultR.Close()
	pidfd, err := p.spawn(plan, orderR, resultW)
	orderR.Close()
	resultW.Close()
	if err != nil {
		return fmt.Errorf("the shim can't be started: %w", err)
	}
	p.watched.add(o.ID, plan.record.SessionID, pidfd)
	plan.lock.Close() // the shim holds it
	plan.lock = nil

	// The shim begins while its cgroups are made.
	if len(o.CgroupDirs) > 0 {
		if err := p.machine.tree.Make(o.ID, cgroupLimits(plan.spec.Resources)); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = resultR.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := json.NewEncoder(orderW).Encode(o); err != nil {
		return shimDied(o.Dir, err)
	}
	orderW.Close()
	b, err := io.ReadAll(io.LimitReader(resultR, 1<<20))
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	var result stage.Result
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &result)
	}
	switch {
	case err != nil || len(b) == 0:
		return shimDied(o.Dir, err)
	case result.Error != "":
		return startRefused(result.Error)
	}
	return nil
}

// startRefused is the error of a sandbox that could not be set up or whose command can't
// be executed: the template's or the machine's fault, never that of the request.
func startRefused(text string) error {
	return &provider.Error{Class: provider.Internal, Err: errors.New(text)}
}

// shimDied is the error of a shim that ended without a word.
func shimDied(dir string, err error) error {
	why := errors.New("the shim ended before the sandbox ran")
	if b, readErr := os.ReadFile(filepath.Join(dir, fileShimLog)); readErr == nil && len(b) > 0 {
		why = fmt.Errorf("%w: %.2000s", why, b)
	}
	return errors.Join(why, err)
}

// spawn executes this binary as a shim.
func (p *Provider) spawn(plan *plan, orderR, resultW *os.File) (pidfd int, err error) {
	exe, err := p.machine.self.path()
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	log, err := os.OpenFile(filepath.Join(plan.order.Dir, fileShimLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	files := []uintptr{null.Fd(), null.Fd(), log.Fd(), orderR.Fd(), resultW.Fd(), plan.lock.Fd()}
	if plan.listener >= 0 {
		files = append(files, uintptr(plan.listener))
	}
	_, err = syscall.ForkExec(exe, []string{stage.ShimName, plan.order.ID}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1"}, Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd}})
	return pidfd, err
}

// bindLoopback makes a socket with a port of 127.0.0.1 that the kernel picks. Nobody else
// can have the port as long as the socket is open; it accepts nothing before it listens.
func bindLoopback() (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		var sa unix.Sockaddr
		if sa, err = unix.Getsockname(fd); err == nil {
			if in, ok := sa.(*unix.SockaddrInet4); ok {
				return fd, in.Port, nil
			}
			err = errors.New("the socket has no IPv4 address")
		}
	}
	unix.Close(fd)
	return -1, 0, err
}

func cgroupLimits(r provider.Resources) cgroup.Limits {
	return cgroup.Limits{MemoryBytes: r.MemoryBytes, NanoCPUs: r.NanoCPUs, Pids: r.Pids}
}
