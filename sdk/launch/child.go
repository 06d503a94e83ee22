package launch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/internal/wire"
)

const (
	busyRetry   = 10 * time.Millisecond  // between tries to execute a file that a fork still holds open
	busyTries   = 100                    // of them
	lastWords   = 100 * time.Millisecond // for output that is still in the pipes after the exit
	lifelineFD  = 3                      // the first of exec.Cmd.ExtraFiles
	reapTimeout = 5 * time.Second        // from SIGKILL to the exit
)

// child is a process in a group of its own, with its pipes and its lifeline.
type child struct {
	opts Options
	exe  executable
	sink *sink
	hs   *handshake

	stdout, stderr *os.File // our ends
	lifeline       *os.File // the end that we hold; closing it ends the process

	mu     sync.Mutex // held while signalling and while reaping: a pid is never used after it
	pid    int
	reaped bool

	exited chan struct{}    // closed when the process was reaped
	state  *os.ProcessState // after exited

	readers sync.WaitGroup
}

// start executes the verified copy. It returns once the process runs.
func (c *child) start(ctx context.Context, env []string) error {
	var files []*os.File
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe() // close-on-exec: a sibling inherits nothing
		if err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	outR, outW, err1 := pipe()
	errR, errW, err2 := pipe()
	lineR, lineW, err3 := pipe()
	err := errors.Join(err1, err2, err3)
	if err == nil {
		started := make(chan error, 1)
		go c.run(started, func() (*exec.Cmd, error) {
			return c.spawn(ctx, env, outW, errW, lineR)
		})
		err = <-started
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return err
	}
	for _, f := range []*os.File{outW, errW, lineR} {
		f.Close() // the child has them
	}
	c.mu.Lock()
	c.stdout, c.stderr, c.lifeline = outR, errR, lineW
	c.mu.Unlock()
	c.readers.Go(func() { readLines(errR, c.sink.stderr) })
	c.readers.Go(c.readStdout)
	return nil
}

// run starts the process and waits for it, on one thread: where the system can tell a
// child of its parent's death, "parent" means the thread that made it.
func (c *child) run(started chan<- error, spawn func() (*exec.Cmd, error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := spawn()
	if err != nil {
		started <- err
		return
	}
	c.mu.Lock()
	c.pid = cmd.Process.Pid
	c.mu.Unlock()
	started <- nil
	c.reap(cmd)
	c.state = cmd.ProcessState
	close(c.exited)
}

// spawn executes the copy. A fork elsewhere in this process may hold the file open for
// writing for a moment, which the system refuses as "text file busy"; that passes.
func (c *child) spawn(ctx context.Context, env []string, stdout, stderr, lifeline *os.File) (*exec.Cmd, error) {
	for try := 1; ; try++ {
		cmd := &exec.Cmd{
			Path:        c.exe.path,
			Args:        append([]string{filepath.Base(c.exe.path)}, c.opts.Args...),
			Env:         append(append([]string{}, env...), wire.LifelineEnv+"="+strconv.Itoa(lifelineFD)),
			Stdout:      stdout,
			Stderr:      stderr,
			ExtraFiles:  []*os.File{lifeline},
			SysProcAttr: processAttr(),
		}
		err := cmd.Start()
		if err == nil || !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			return cmd, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(busyRetry):
		}
	}
}

// readStdout passes the handshake on, and logs all else. It ends with the pipe.
func (c *child) readStdout() {
	defer c.hs.line.Close()
	looking := true
	readLines(c.stdout, func(line []byte, cut bool) {
		if !looking {
			c.sink.stdout(line, cut)
			return
		}
		looking = !c.hs.accept(string(line))
		if came, _ := c.hs.result(); came {
			if printed := c.hs.printed(); printed != "" {
				c.sink.logger.Warn("the plugin printed on stdout before its handshake", "printed", printed)
			}
		}
	})
	if looking {
		// It closed stdout and shook no hands: most likely it is about to exit. go-plugin
		// kills it at the end of the pipe, so wait for how it ends by itself.
		select {
		case <-c.exited:
		case <-time.After(exitNotice):
		}
	}
}

// finish collects what is left in the pipes of a process that was reaped. A grandchild
// that left the group may hold them open for ever; it is not waited for.
func (c *child) finish() {
	<-c.exited
	until := time.Now().Add(lastWords)
	_ = c.stdout.SetReadDeadline(until)
	_ = c.stderr.SetReadDeadline(until)
	c.readers.Wait()
	_ = c.stdout.Close()
	_ = c.stderr.Close()
	_ = c.lifeline.Close()
	c.sink.close()
}

// kill sends SIGKILL to the group. It reaches a stopped process too.
func (c *child) kill() { c.signal(syscall.SIGKILL, true) }

// signal sends sig to the process, or to its whole group. It does nothing once the
// process was reaped.
func (c *child) signal(sig syscall.Signal, group bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid == 0 || c.reaped {
		return
	}
	pid := c.pid
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, sig) // it may have ended by itself meanwhile
}

// exit tells how the process ended. Only after exited.
func (c *child) exit() *ExitError {
	e := &ExitError{Name: c.opts.Name, PID: c.pid, Code: c.state.ExitCode(), Stderr: c.sink.tail()}
	if c.state == nil { // somebody else in this process waited for it
		return e
	}
	if ws, ok := c.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal().String()
	}
	return e
}
