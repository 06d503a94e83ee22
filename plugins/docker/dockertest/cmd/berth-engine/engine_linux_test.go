package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engine is a place where the command runs: all that it makes on disk is below dir.
type engine struct {
	t         *testing.T
	dir       string
	bin, path string
}

// newEngine builds the command. Where there is no engine, or no root, the test is skipped;
// with BERTH_REQUIRE_ENGINE=1 it fails.
func newEngine(t *testing.T) *engine {
	t.Helper()
	path, err := filepath.Abs("../../../../../.cache/engines")
	if err != nil {
		t.Fatal(err)
	}
	s := settings{engines: path}
	if err := s.check(); err != nil {
		if os.Getenv("BERTH_REQUIRE_ENGINE") == "1" {
			t.Fatalf("BERTH_REQUIRE_ENGINE=1, and %v", err)
		}
		t.Skip(err)
	}
	e := &engine{t: t, dir: t.TempDir(), path: path}
	e.bin = filepath.Join(e.dir, "berth-engine")
	if out, err := exec.Command("go", "build", "-o", e.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		_, pids, _ := e.left()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return e
}

func (e *engine) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(e.t.Context(), e.bin, append([]string{"--engines", e.path}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+e.dir)
	return cmd
}

// left is what rooms have left: files, pids and cgroups.
func (e *engine) left() (files []string, pids []int, groups []string) {
	files, _ = filepath.Glob(filepath.Join(e.dir, prefix+"*"))
	for _, f := range files {
		more, _ := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(f))
		groups = append(groups, more...)
	}
	cmdlines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, c := range cmdlines {
		if text, _ := os.ReadFile(c); strings.Contains(string(text), e.dir+"/"+prefix) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(c)))
			pids = append(pids, pid)
		}
	}
	return files, pids, groups
}

func (e *engine) wantNothing() {
	e.t.Helper()
	if files, pids, groups := e.left(); len(files)+len(pids)+len(groups) > 0 {
		e.t.Errorf("left are %v, %v, %v", files, pids, groups)
	}
}

// script tells what a command finds, with what every machine has.
const script = `test -S /var/run/docker.sock || exit 99
test -z "$(env | grep ^DOCKER_)" || exit 97
readlink /proc/self/ns/net
command -v dockerd
exit 7`

// The command has an engine and a network of its own, its exit code is what it says, and
// nothing is left.
func TestCommandBesideTheMachine(t *testing.T) {
	e := newEngine(t)
	cmd := e.command("sh", "-c", script)
	cmd.Env = append(cmd.Env, "DOCKER_HOST=unix:///nowhere")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("%v, want exit code 7:\n%s%s", err, stderr.String(), out)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 || lines[0] == own || lines[1] != filepath.Join(e.path, "dockerd") {
		t.Errorf("it saw %q; this process is in %s", lines, own)
	}
	if !strings.Contains(stderr.String(), "berth-engine: Docker ") {
		t.Errorf("the engine is not introduced:\n%s", stderr.String())
	}
	e.wantNothing()
}

// SIGTERM ends the command, and then the engine.
func TestTerminated(t *testing.T) {
	e := newEngine(t)
	cmd := e.started(t, `trap 'exit 3' TERM; echo up; while :; do read line || exit 4; done`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v, want the command's exit code 3", err)
	}
	e.wantNothing()
}

// When it is killed, all that it started ends; the next one removes what is left on disk.
func TestKilled(t *testing.T) {
	e := newEngine(t)
	cmd := e.started(t, `echo up; read line`)
	if _, pids, _ := e.left(); len(pids) == 0 {
		t.Error("the daemon is not seen: this test can't fail")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	e.eventually("all processes have ended", func() bool { _, processes, _ := e.left(); return len(processes) == 0 })
	if files, _, _ := e.left(); len(files) != 1 {
		t.Errorf("rooms left on disk: %v", files)
	}
	if out, err := e.command("true").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e.wantNothing()
}

// Without an engine it says how to get one.
func TestNoEngine(t *testing.T) {
	e := newEngine(t)
	e.path = t.TempDir()
	out, err := e.command("true").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != failed || !strings.Contains(string(out), `make it with "make engines"`) {
		t.Errorf("%v\n%s", err, out)
	}
	e.wantNothing()
}

// started starts a shell that says "up", and returns when it has. Its stdin
// stays open until the test ends, also when the command was waited for.
func (e *engine) started(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := e.command("sh", "-c", script)
	stdin, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	t.Cleanup(func() { _ = open.Close() })
	cmd.Stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
		_ = cmd.Process.Kill()
		rest, _ := io.ReadAll(stdout)
		t.Fatalf("it said %q, %v", line+string(rest), fmt.Errorf("%w, %w", err, cmd.Wait()))
	}
	return cmd
}

func (e *engine) eventually(what string, so func() bool) {
	e.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !so(); <-tick.C {
		if time.Now().After(end) {
			e.t.Fatalf("not within 30s: %s", what)
		}
	}
}
