package launch

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttr puts a plugin into a process group of its own, in the host's session: when
// the host dies the kernel then wakes a stopped plugin, which a session of its own would
// prevent. Where another member of the session inherits the plugin that is not enough, so
// the kernel is asked to kill it with its parent as well.
func processAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits for the process, kills what is left of its group while its pid still names
// it, and only then lets the pid go.
func (c *child) reap(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait() // the state tells how it ended
	c.reaped = true
}
