package launch_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

func TestStartAnswersAndClosesWithoutATrace(t *testing.T) {
	o := place(t)
	p := start(t, o)
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := p.Plugin().Info(t.Context())
	if err != nil || info.Name != "mock" {
		t.Fatalf("info: %+v, %v", info, err)
	}
	if p.Err() != nil {
		t.Errorf("a living process has no exit: %v", p.Err())
	}
	exe, err := os.Readlink("/proc/" + itoa(p.PID()) + "/exe")
	if err == nil && exe != filepath.Join(o.CacheDir, p.SHA256(), filepath.Base(o.Path)) {
		t.Errorf("what runs is %s, not the verified copy", exe)
	}
	shut(t, p)
	select {
	case <-p.Done():
	default:
		t.Error("Done is not closed after Close")
	}
	if !strings.Contains(p.Err().Error(), "exited with code 0") {
		t.Errorf("a drained plugin exits by itself: %v", p.Err())
	}
	left, err := os.ReadDir(o.RunDir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the run directory: %v, %v", left, err)
	}
	if _, err := p.Plugin().Info(t.Context()); provider.ClassOf(err) != provider.Unavailable {
		t.Errorf("a call on an ended process: %v", err)
	}
}

func TestKilledProcessIsNoticed(t *testing.T) {
	p := start(t, place(t))
	begun := time.Now()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	t.Logf("noticed after %s", time.Since(begun))
	if !strings.Contains(p.Err().Error(), "killed") {
		t.Errorf("Err = %v", p.Err())
	}
}

func TestStoppedProcess(t *testing.T) {
	p := start(t, place(t))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal reaches every thread within a moment; then no ping is answered.
	within(t, 5*time.Second, "a ping fails", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := p.Ping(ctx)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("Ping took %s of its 100 ms", took)
		}
		return err != nil
	})
	begun := time.Now()
	p.Kill()
	<-p.Done()
	t.Logf("killed within %s", time.Since(begun))
}

func TestStoppedProcessIsClosed(t *testing.T) {
	p := start(t, place(t))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	shut(t, p)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("Close took %s", took)
	}
}

func TestCloseOfAProcessThatIgnoresSIGTERM(t *testing.T) {
	p := start(t, place(t))
	configure(t, p, `{"ignore_sigterm":true}`)
	begun := time.Now()
	shut(t, p)
	took := time.Since(begun)
	if took < 400*time.Millisecond || took > 4*time.Second {
		t.Errorf("Close took %s; SIGKILL comes 500 ms after SIGTERM", took)
	}
	if !strings.Contains(p.Err().Error(), "killed") {
		t.Errorf("Err = %v", p.Err())
	}
}

func TestGrandchildThatHoldsStderr(t *testing.T) {
	p := start(t, place(t))
	configure(t, p, `{"hold_stderr":"60s"}`)
	begun := time.Now()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	took := time.Since(begun)
	t.Logf("noticed after %s", took)
	if took > time.Second {
		t.Errorf("the exit was noticed after %s", took)
	}
	shut(t, p)
	group := p.PID()
	within(t, 5*time.Second, "the group is gone", func() bool { return groupGone(group) })
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	o := place(t)
	o.Path = script(t, "exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	checkFails(t, ctx, o, "canceled", "given up")
}
