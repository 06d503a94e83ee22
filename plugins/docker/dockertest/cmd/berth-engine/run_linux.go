package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// insideName is what the process in the room is called, so that it knows that it is there.
const insideName = "berth-engine-inside"

// patience is how long the daemon may take to answer, or to end.
const patience = time.Minute

// needed are the programs of an engine.
var needed = []string{"dockerd", "docker-proxy", "containerd", "containerd-shim-runc-v2", "runc"}

// run is main. The same program runs twice: outside it makes the room and cleans up after
// it, inside it is the first process.
func run(args []string) (code int, err error) {
	if args[0] == insideName {
		return inside(args[1:])
	}
	s, ok := parse(args[1:])
	if !ok {
		return failed, nil
	}
	if err := s.check(); err != nil {
		return failed, err
	}
	sweep()
	r, err := newRoom()
	if err != nil {
		return failed, err
	}
	code, err = outside(s, r.dir)
	return code, errors.Join(err, r.remove())
}

// check finds what is needed, and makes paths absolute.
func (s *settings) check() (err error) {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("an engine of its own needs root, not user %d", uid)
	}
	if s.engines, err = filepath.Abs(s.engines); err != nil {
		return err
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(s.engines, name)); err != nil {
			return fmt.Errorf("there is no engine, make it with \"make engines\": %w", err)
		}
	}
	if _, err := exec.LookPath("docker-init"); err != nil {
		return fmt.Errorf("docker-init comes with the machine's Docker: %w", err)
	}
	if s.log != "" {
		s.log, err = filepath.Abs(s.log)
	}
	return err
}

// outside starts the first process of the room, passes signals on to it, and waits.
func outside(s settings, dir string) (code int, err error) {
	runtime.LockOSThread() // the kernel takes this thread's end for the parent's death
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{insideName, dir, s.engines, s.log}, s.command...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, // the end of a first process is that of all in its room
	}
	if err := cmd.Start(); err != nil {
		return failed, err
	}
	over := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case <-signals:
				_ = cmd.Process.Signal(syscall.SIGTERM)
			case <-over:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(over)
	<-passed
	return codeOf(cmd.ProcessState.Sys().(syscall.WaitStatus)), ignoreExit(err)
}

// ignoreExit drops the error that only says that a process ended with another code than 0.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// codeOf is an exit code in the shell's terms.
func codeOf(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
