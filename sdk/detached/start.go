package detached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

const (
	lockFile  = "lock"
	groupFile = "group"
	exitFile  = "exit"
	portFile  = "port"

	startFor = 10 * time.Second // for the shell to get to the program
)

// shim is the shell around a program. Its first process leads the process group and ends;
// its second waits for the program. A signal that politely ends the group must not end the
// one that keeps the exit code, so it is caught there. The third becomes the program. It
// tells the group, without which nobody signals it: by then no shell is left that would take
// the program's signal for its own. LISTEN_PID is the program's pid, as sd_listen_fds(3)
// wants it.
const shim = `dir=$1 work=$2; shift 2
( trap : TERM
  cd "$work" && /bin/sh -c 'echo $1 >"$2/group" || exit 1; shift 2
    [ -z "$LISTEN_FDS" ] || export LISTEN_PID=$$
    exec "$@"' sh $$ "$dir" "$@"
  echo $? >"$dir/exit"
) >"$dir/log" 2>&1 &`

// Command is the program of a spec whose image is the path of one: its command are the
// arguments, and its environment is complete.
func Command(spec provider.Spec) *exec.Cmd {
	cmd := exec.Command(spec.Image, spec.Command...)
	cmd.Env = []string{}
	for _, v := range spec.Env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	return cmd
}

// Start starts the program of cmd for the sandbox of dir, an absolute path, and returns when
// it is under way: whether it could be executed is for [Processes.Observe] to tell, which
// then sees it end with the code 126 or 127. Of cmd it takes Path, Args, Env, Dir (else dir)
// and ExtraFiles; nothing of the plugin's environment is added. It prints to the log.
func Start(dir string, cmd *exec.Cmd) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // Observe holds it for moments
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	work := cmd.Dir
	if work == "" {
		work = dir
	}
	var args []string
	if len(cmd.Args) > 0 {
		args = cmd.Args[1:]
	}
	shell := exec.Command("/bin/sh", append([]string{"-c", shim, "sh", dir, work, cmd.Path}, args...)...)
	shell.Dir = dir
	shell.Env = append([]string{}, cmd.Env...)
	shell.ExtraFiles = append(append([]*os.File{}, cmd.ExtraFiles...), lock)
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := shell.Run(); err != nil {
		return fmt.Errorf("the shell around the program: %w", err)
	}
	if err := lock.Close(); err != nil { // the shell has it
		return err
	}
	return underWay(dir)
}

// underWay waits until the program is about to be executed, or its shell has ended.
func underWay(dir string) error {
	tick := time.NewTicker(lookGap)
	defer tick.Stop()
	for patience := time.After(startFor); ; {
		if _, told := number(dir, groupFile); told {
			return nil
		}
		seen, err := Processes{}.Observe(context.Background(), dir)
		if err != nil || seen.State != provider.StateRunning {
			return err // its end is told by Observe
		}
		select {
		case <-tick.C:
		case <-patience:
			return fmt.Errorf("the shell around the program did not start it within %s", startFor)
		}
	}
}

// Listen opens a listener on 127.0.0.1, at a port that the kernel picks, and gives it to cmd
// as its first inherited descriptor, 3, by the convention of sd_listen_fds(3). The port is
// what [Processes.Observe] tells as the endpoint. Call it before [Start], and close the file
// after it.
func Listen(dir string, cmd *exec.Cmd) (*os.File, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer l.Close() // the file is another descriptor of the same listener
	f, err := l.File()
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(dir, portFile), []byte(port+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	cmd.ExtraFiles = append([]*os.File{f}, cmd.ExtraFiles...)
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	return f, nil
}
