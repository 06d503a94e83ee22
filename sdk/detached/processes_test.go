package detached_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/detached"
	"github.com/berth-dev/berth/sdk/provider"
)

// modeEnv makes this test binary something else: the program in a sandbox, or a plugin that
// is killed.
const modeEnv = "BERTH_DETACHED_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(modeEnv) {
	case "serve":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil || os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_PID") != fmt.Sprint(os.Getpid()) {
			os.Exit(9)
		}
		fmt.Println(http.Serve(l, http.NotFoundHandler()))
		os.Exit(1)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf")
		<-time.After(time.Hour) // with nothing to wait for, the runtime would call it a deadlock
	case "plugin":
		cmd := exec.Command("/bin/sh", "-c", "echo up; exec sleep 1000")
		if err := detached.Start(os.Args[1], cmd); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = syscall.Kill(0, syscall.SIGKILL) // the whole group, as a launcher does
	}
	os.Exit(m.Run())
}

var processes detached.Processes

// run starts a program in a directory of its own, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Cleanup(func() { end(t, dir, 0) })
	if err := detached.Start(dir, cmd); err != nil {
		t.Fatal(err)
	}
	return dir
}

func end(t *testing.T, dir string, grace time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := processes.End(ctx, dir, grace); err != nil {
		t.Error(err)
	}
}

func sh(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

// await waits until a sandbox is seen as wanted.
func await(t *testing.T, dir string, what string, ok func(state provider.State, exit *provider.Exit) bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		seen, err := processes.Observe(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if ok(seen.State, seen.Exit) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not seen: %s; it is %+v", what, seen)
		case <-tick.C:
		}
	}
}

func printed(t *testing.T, dir, words string) {
	t.Helper()
	await(t, dir, "it has printed "+words, func(provider.State, *provider.Exit) bool {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		return strings.Contains(string(text), words)
	})
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		cmd  *exec.Cmd
		code int
		log  string
	}{
		{sh("echo out; echo err >&2; exit 7"), 7, "out\nerr\n"},
		{sh("pwd; kill -USR1 $$"), 128 + int(syscall.SIGUSR1), ""},
		{exec.Command("/no/such/program"), 127, "/no/such/program"},
	} {
		dir := run(t, c.cmd)
		await(t, dir, "its end", func(s provider.State, exit *provider.Exit) bool {
			return s == provider.StateExited && exit.Code == c.code
		})
		if text, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || !strings.Contains(string(text), c.log) {
			t.Errorf("log %q, %v; want %q", text, err, c.log)
		}
	}
}

func TestEnvironmentIsComplete(t *testing.T) {
	t.Setenv("BERTH_TEST_SECRET", "do not tell")
	work := t.TempDir()
	cmd := detached.Command(provider.Spec{Image: "/bin/sh", Command: []string{"-c", `echo "$A|$BERTH_TEST_SECRET|$LISTEN_PID|$(pwd -P)|$1"`, "sh", "it's  one"},
		Env: []provider.EnvVar{{Name: "A", Value: "a 'b' \"c\" $d"}}})
	cmd.Dir = work
	real, err := filepath.EvalSymlinks(work)
	if err != nil {
		t.Fatal(err)
	}
	dir := run(t, cmd)
	printed(t, dir, "a 'b' \"c\" $d|||"+real+"|it's  one\n")
}

// A directory that is not there is an end with a code and a reason, like a program that is
// not.
func TestNoWorkingDirectory(t *testing.T) {
	cmd := sh("echo never")
	cmd.Dir = "/no/such/directory"
	dir := run(t, cmd)
	await(t, dir, "its end", func(s provider.State, exit *provider.Exit) bool {
		return s == provider.StateExited && exit.Code != 0
	})
	printed(t, dir, "/no/such/directory")
}

func TestEndIsPoliteFirst(t *testing.T) {
	dir := run(t, sh(`trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done`))
	printed(t, dir, "up")
	end(t, dir, 10*time.Second)
	await(t, dir, "the code of its own end", func(s provider.State, exit *provider.Exit) bool {
		return s == provider.StateExited && exit.Code == 3
	})
	printed(t, dir, "bye")
}

func TestEndForces(t *testing.T) {
	for name, grace := range map[string]time.Duration{"at once": 0, "after grace": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			deaf := exec.Command(self)
			deaf.Env = []string{modeEnv + "=deaf"}
			dir := run(t, deaf)
			printed(t, dir, "deaf")
			begun := time.Now()
			end(t, dir, grace)
			if took := time.Since(begun); took < grace || took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			await(t, dir, "137", func(s provider.State, exit *provider.Exit) bool {
				return s == provider.StateExited && exit.Code == 137
			})
		})
	}
}

// A child that the program leaves behind is part of the sandbox.
func TestChildrenBelongToIt(t *testing.T) {
	dir := run(t, sh("sleep 1000 & echo left; exit 0"))
	printed(t, dir, "left")
	await(t, dir, "the program's end is told", func(provider.State, *provider.Exit) bool {
		code, err := os.ReadFile(filepath.Join(dir, "exit"))
		return err == nil && string(code) == "0\n"
	})
	if seen, err := processes.Observe(t.Context(), dir); err != nil || seen.State != provider.StateRunning {
		t.Errorf("with its child it is %+v, %v", seen, err)
	}
	end(t, dir, 0)
	await(t, dir, "all have ended", func(s provider.State, exit *provider.Exit) bool {
		return s == provider.StateExited && exit.Code == 0
	})
}

// One that leaves the group can't be signalled: End says so when its time is over, and
// never says that it has ended.
func TestEscapedChildIsTold(t *testing.T) {
	self, err := exec.LookPath("setsid")
	if err != nil {
		t.Skipf("there is no setsid: %v", err)
	}
	dir := t.TempDir()
	if err := detached.Start(dir, sh(self+` sh -c 'echo $$ >escaped; echo gone; exec sleep 1000' & wait`)); err != nil {
		t.Fatal(err)
	}
	printed(t, dir, "gone")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = processes.End(ctx, dir, 0)
	if !errors.Is(err, provider.Canceled) || !strings.Contains(err.Error(), "have not all ended") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "escaped"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	end(t, dir, 0)
}

func TestListener(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(self)
	cmd.Env = []string{modeEnv + "=serve"}
	f, err := detached.Listen(dir, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, dir, 0) })
	if err := errors.Join(detached.Start(dir, cmd), f.Close()); err != nil {
		t.Fatal(err)
	}
	seen, err := processes.Observe(t.Context(), dir)
	if err != nil || seen.Endpoint == nil {
		t.Fatalf("%+v, %v", seen, err)
	}
	// The listener was open before the program was there: no try is refused.
	address := net.JoinHostPort(seen.Endpoint.IP, fmt.Sprint(seen.Endpoint.Port))
	r, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	r.Body.Close()
	end(t, dir, 0)
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("somebody still listens")
	}
}

// What was started goes on when its plugin is killed with its whole group, and ends by the
// next one.
func TestOutlivesThePlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plugin := exec.Command(self, dir)
	plugin.Env = []string{modeEnv + "=plugin"}
	plugin.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	plugin.Stderr = os.Stderr
	t.Cleanup(func() { end(t, dir, 0) })
	var exit *exec.ExitError
	if err := plugin.Run(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the plugin ended with %v", err)
	}
	printed(t, dir, "up")
	if seen, err := processes.Observe(t.Context(), dir); err != nil || seen.State != provider.StateRunning {
		t.Errorf("%+v, %v", seen, err)
	}
	end(t, dir, 0)
	if seen, err := processes.Observe(t.Context(), dir); err != nil || seen.State != provider.StateExited {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestNothingWasStarted(t *testing.T) {
	dir := t.TempDir()
	if seen, err := processes.Observe(t.Context(), dir); err != nil || seen.State != provider.StateCreated {
		t.Errorf("%+v, %v", seen, err)
	}
	end(t, dir, time.Minute)
	if err := detached.Start(dir, exec.Command("no-such-program-in-the-path")); err == nil {
		t.Error("a program that is not in the path was started")
	}
	if err := detached.Start(filepath.Join(dir, "missing"), sh("true")); err == nil {
		t.Error("started in a directory that is not there")
	}
}
