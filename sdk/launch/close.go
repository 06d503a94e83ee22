package launch

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Kill sends SIGKILL to the process and its group, and returns at once. Done follows.
func (p *Process) Kill() {
	p.killed.Store(true)
	p.child.kill()
}

// Close ends the process: it drains the calls in flight, sends SIGTERM, then SIGKILL to
// the group, each step bounded, and returns when the process and all that belonged to it
// is gone. When ctx is done the steps that are left are skipped, but for SIGKILL. It may
// be called again. After Kill, or the process's own end, nothing is drained: Close only
// waits. The error is for a process that survived SIGKILL.
func (p *Process) Close(ctx context.Context) error {
	p.closing.Do(func() { p.terminate(ctx) })
	p.child.kill()
	timer := time.NewTimer(reapTimeout)
	defer timer.Stop()
	select {
	case <-p.released:
		return nil
	case <-timer.C:
		return fmt.Errorf("plugin %q (pid %d) did not end within %s of SIGKILL", p.opts.Name, p.PID(), reapTimeout)
	}
}

// terminate asks the process politely to end, and returns when it has, or when its time
// is up. Of a process that was killed, or has ended, nothing is asked.
func (p *Process) terminate(ctx context.Context) {
	if p.killed.Load() || p.Err() != nil {
		return
	}
	drain, cancel := context.WithTimeout(ctx, p.opts.DrainTimeout)
	err := p.plugin.Drain(drain)
	cancel()
	if p.killed.Load() {
		return // meanwhile
	}
	// One that can't be reached ends by itself, as all do that get the SIGTERM of a service
	// manager: its connection breaks before it has ended. If it does not end, that is told.
	if err != nil && provider.ClassOf(err) != provider.Unavailable {
		p.opts.Logger.Warn("the plugin did not drain", "plugin", p.opts.Name, "error", err)
	}
	p.child.signal(syscall.SIGTERM, false)
	timer := time.NewTimer(p.opts.TermTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-ctx.Done():
	case <-timer.C:
		told := []any{"plugin", p.opts.Name, "after", p.opts.TermTimeout}
		if err != nil {
			told = append(told, "drain", err)
		}
		p.opts.Logger.Warn("the plugin ignored SIGTERM and is killed", told...)
	}
}
