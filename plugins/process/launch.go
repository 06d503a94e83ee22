//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// fileShimLog is where a shim writes what goes wrong with itself.
const fileShimLog = "shim.log"

// launch gives a sandbox that has its name to a shim, and returns when the command runs or
// can't. The shim lives on when this process and its group are killed.
func (p *Provider) launch(ctx context.Context, plan *plan) error {
	o := &plan.order
	b := p.ahead.take(o.Blank)
	early := b != nil
	if early {
		p.ahead.refill(o.Blank)
	} else {
		var err error
		if b, err = p.startBlank(o.Blank); err != nil {
			return fmt.Errorf("the shim can't be started: %w", err)
		}
	}
	if len(o.CgroupDirs) > 0 { // a shim that was just started begins meanwhile
		if err := p.machine.tree.Make(o.ID, cgroupLimits(plan.spec.Resources)); err != nil {
			b.end()
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	if err := crash.Point("process.create.grouped"); err != nil {
		b.end()
		return err
	}
	err := b.give(ctx, plan)
	if err != nil && early && ctx.Err() == nil && !begun(o.Dir) {
		// It ended while it waited: then nobody knows of the sandbox yet.
		b.end()
		if begun(o.Dir) {
			return err
		}
		if b, err = p.startBlank(o.Blank); err != nil {
			return fmt.Errorf("the shim can't be started: %w", err)
		}
		err = b.give(ctx, plan)
	}
	p.watched.add(o.ID, plan.record.SessionID, b.shim)
	b.socket.Close()
	plan.lock.Close() // the shim holds it
	plan.lock = nil
	return err
}

// begun reports whether a shim has taken the sandbox in dir.
func begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, stage.FileRun))
	return !errors.Is(err, fs.ErrNotExist)
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
