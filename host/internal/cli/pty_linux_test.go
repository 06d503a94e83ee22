package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/host"
)

// pty is a terminal with somebody in front of it.
type pty struct {
	t    *testing.T
	keys *os.File // the master's end

	mu      sync.Mutex
	seen    bytes.Buffer
	more    chan struct{}
	reading sync.WaitGroup
}

// onPty starts a berth of its own on a terminal.
func onPty(t *testing.T, env []string, args ...string) (*pty, *exec.Cmd) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, keys: master, more: make(chan struct{}, 1)}
	p.resize(120, 12)
	cmd := exec.Command("berth", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	p.reading.Go(p.read)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		p.reading.Wait()
		master.Close()
	})
	return p, cmd
}

// read ends when the last process has left the terminal.
func (p *pty) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.keys.Read(buf)
		p.mu.Lock()
		p.seen.Write(buf[:n])
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// await waits until what was shown since the offset has the words, and returns the offset
// behind them.
func (p *pty) await(from int, words string) int {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if i := strings.Index(p.text()[from:], words); i >= 0 {
			return from + i + len(words)
		}
		select {
		case <-p.more:
		case <-deadline:
			p.t.Fatalf("no %q in %q", words, p.text()[from:])
		}
	}
}

func (p *pty) resize(columns, rows uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		p.t.Fatal(err)
	}
}

// The whole way: a real terminal, Ctrl-Z, a resize, Ctrl-C.
func TestWatchOnATerminal(t *testing.T) {
	h := &fakeHost{sessions: []host.Session{running(1, time.Hour)}, events: make(chan host.Event)}
	p, cmd := onPty(t, nil, "watch", "--socket", serve(t, h))
	at := p.await(0, enterPage)
	at = p.await(at, "\x1b[1mberth: 1 session, 1 running\x1b[0m")
	at = p.await(at, "6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f  -      default   \x1b[32mrunning\x1b[0m  59m")

	p.resize(100, 12)
	at = p.await(at, "  6f1c1f9e  -      default   \x1b[32mrunning\x1b[0m")
	h.events <- host.Event{Type: host.EventChanged, Session: running(2, time.Hour)}
	at = p.await(at, "berth: 2 sessions")

	p.keys.WriteString("\x1a") // Ctrl-Z
	at = p.await(at, leavePage)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it was not stopped: %v, %v", status, err)
	}
	cmd.Process.Signal(syscall.SIGCONT)
	at = p.await(at, enterPage)
	at = p.await(at, "berth: 2 sessions")

	p.keys.WriteString("\x03") // Ctrl-C
	p.await(at, leavePage)
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C is no failure: %v", err)
	}
	p.reading.Wait()
	if text := p.text(); !strings.HasSuffix(text, leavePage) {
		t.Errorf("the terminal was left as %q", text[max(0, len(text)-80):])
	}
}

// SIGTERM gives the terminal back too; without a host it is never taken.
func TestWatchLeavesTheTerminalAsItWas(t *testing.T) {
	h := &fakeHost{events: make(chan host.Event)}
	p, cmd := onPty(t, nil, "watch", "--socket", serve(t, h))
	at := p.await(0, "berth: 0 sessions")
	cmd.Process.Signal(syscall.SIGTERM)
	p.await(at, leavePage)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}

	p, cmd = onPty(t, nil, "watch", "--socket", "/nowhere/s")
	cmd.Wait()
	p.reading.Wait()
	if text := p.text(); cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(text, "berth: watch: no host answers at /nowhere/s") {
		t.Errorf("status %d, and the terminal shows %q", cmd.ProcessState.ExitCode(), text)
	}
}

func TestColoursOfATerminal(t *testing.T) {
	socket := serve(t, &fakeHost{sessions: []host.Session{running(1, time.Hour)}})
	for _, c := range []struct {
		env      []string
		coloured bool
	}{
		{nil, true},
		{[]string{"NO_COLOR=1"}, false},
		{[]string{"TERM=dumb"}, false},
	} {
		p, cmd := onPty(t, c.env, "list", "--socket", socket)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		p.reading.Wait()
		if text := p.text(); !strings.Contains(text, "running") || strings.Contains(text, "\x1b[") != c.coloured {
			t.Errorf("%q: %q", c.env, text)
		}
	}
}
