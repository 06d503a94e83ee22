//go:build crashpoints && unix

package crash

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// childEnv makes the test's binary pass two points, as another process.
const childEnv = "BERTH_CRASH_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		_ = Point("who.verb.before")
		_ = Point("who.verb.moment")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func arm(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "who.verb.moment"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An armed point fails at the hit that was asked for, once; others go on.
func TestPointFails(t *testing.T) {
	dir := arm(t, "fail 3")
	t.Setenv("BERTH_CRASH", dir)
	for hit := 1; hit <= 4; hit++ {
		if err := Point("who.verb.other"); err != nil {
			t.Errorf("another point: %v", err)
		}
		if err := Point("who.verb.moment"); (err != nil) != (hit == 3) || err != nil && !errors.Is(err, provider.Unavailable) {
			t.Errorf("hit %d: %v", hit, err)
		}
	}
	wantDone(t, dir, os.Getpid())
}

// A process kills or stops itself there, and says which it was.
func TestPointSignals(t *testing.T) {
	for what, sig := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP} {
		t.Run(what, func(t *testing.T) {
			dir := arm(t, what+" 1")
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"=1", "BERTH_CRASH="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil {
				t.Fatal(err)
			}
			if what == "kill" && (!status.Signaled() || status.Signal() != sig) || what == "stop" && (!status.Stopped() || status.StopSignal() != sig) {
				t.Errorf("its status is %#x", status)
			}
			wantDone(t, dir, cmd.Process.Pid)
			if what == "stop" { // and goes on when it is continued
				if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				var exit *exec.ExitError
				if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
					t.Errorf("it ended with %v", err)
				}
			}
		})
	}
}

func wantDone(t *testing.T, dir string, pid int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "who.verb.moment.done"))
	if err != nil || string(text) != strconv.Itoa(pid) {
		t.Errorf("done says %q, %v; want %d", text, err, pid)
	}
	if _, err := os.Stat(filepath.Join(dir, "who.verb.moment")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
