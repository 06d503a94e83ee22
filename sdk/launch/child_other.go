//go:build !linux

package launch

import (
	"os/exec"
	"syscall"
)

// processAttr puts a plugin into a process group of its own, in the host's session: when
// the host dies the kernel then wakes a stopped plugin, which a session of its own would
// prevent.
func processAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// reap waits for the process and kills what is left of its group.
func (c *child) reap(cmd *exec.Cmd) {
	_ = cmd.Wait() // the state tells how it ended
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reaped = true
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
