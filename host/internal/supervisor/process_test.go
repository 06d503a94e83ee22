package supervisor_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// place is the launch of the mock binary in directories of its own.
func place(t *testing.T) launch.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "bs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run, err := launch.PrepareRunDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return launch.Options{
		Name: "mock", Path: mockBinary,
		CacheDir: filepath.Join(dir, "plugins"), RunDir: run,
		Env:          launch.Environment(os.Environ(), nil),
		TermTimeout:  500 * time.Millisecond,
		DrainTimeout: time.Second,
	}
}

// supervise runs a supervisor until the end of the test.
func supervise(t *testing.T, l supervisor.Launcher, e lifecycle.Supervised, change ...func(*supervisor.Supervisor)) *supervisor.Supervisor {
	t.Helper()
	return superviseWith(t, supervisor.Options{Launcher: l, Engine: e}, change...)
}

// superviseWith fills in what the options leave out.
func superviseWith(t *testing.T, o supervisor.Options, change ...func(*supervisor.Supervisor)) *supervisor.Supervisor {
	t.Helper()
	o.Name, o.Owner = "mock", "owner"
	if o.Settings == nil {
		o.Settings = settings{}
	}
	s, err := supervisor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		pid := s.Report().PID
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if pid != 0 && alive(pid) {
			t.Errorf("plugin process %d is left", pid)
		}
	})
	return s
}

// alive reports whether a process runs: a zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err != nil {
		return runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// executes reports whether a process has been given its program from a directory, as plugins
// have. Else its number is another's by now: numbers come again when many processes begin.
func executes(pid int, dir string) bool {
	exe, err := os.Readlink(filepath.Join("/proc", itoa(pid), "exe"))
	return strings.HasPrefix(exe, dir+"/") || err != nil && runtime.GOOS != "linux"
}

func itoa(n int) string { return strconv.Itoa(n) }

// descriptors counts those of this process; 0 where that can't be told.
func descriptors() int {
	open, _ := os.ReadDir("/proc/self/fd")
	return len(open)
}

// sockets counts those of this process; 0 where that can't be told.
func sockets() (n int) {
	open, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range open {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// stopped reports whether every thread of a process is stopped: a signal takes a moment.
func stopped(pid int) bool {
	if runtime.GOOS != "linux" {
		return true
	}
	threads, _ := filepath.Glob(filepath.Join("/proc", itoa(pid), "task", "*", "stat"))
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return len(threads) > 0
}

// within waits until f holds, and fails the test when it does not in time.
func within(t *testing.T, d time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Since(begun) > d {
			t.Fatalf("not within %s: %s", d, what)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// generation waits until generation n is READY, and returns its pid.
func generation(t *testing.T, s *supervisor.Supervisor, n int) int {
	t.Helper()
	var r supervisor.Report
	within(t, 30*time.Second, "generation "+itoa(n)+" is READY", func() bool {
		r = s.Report()
		return r.Generation >= n && r.State == lifecycle.Ready
	})
	if r.PID == 0 {
		t.Fatalf("no pid: %+v", r)
	}
	return r.PID
}

func TestKilledProcessIsReplaced(t *testing.T) {
	s := supervise(t, supervisor.Process(place(t)), nil)
	pid := generation(t, s, 1)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	noticed := within(t, 2*time.Second, "the death is noticed", func() bool { return s.Status().State != lifecycle.Ready })
	if err := s.Status().Err; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("reason: %v", err)
	}
	begun := time.Now()
	next := generation(t, s, 2)
	t.Logf("kill -9: noticed after %s, replaced after %s more", noticed, time.Since(begun))
	if next == pid || alive(pid) {
		t.Errorf("pid %d, then %d", pid, next)
	}
	if _, err := s.Identity(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStoppedProcessIsReplaced(t *testing.T) {
	s := supervise(t, supervisor.Process(place(t)), nil)
	pid := generation(t, s, 1)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if alive(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	within(t, 5*time.Second, "each of its threads has stopped", func() bool { return stopped(pid) })
	begun := time.Now()
	_, err := s.Create(t.Context(), spec("6e1c1e0a-4f0e-4a39-9d0e-0c4dd8a0e4a1"))
	noticed := time.Since(begun)
	wantUnavailable(t, err, "hung", "killed")
	next := generation(t, s, 2)
	t.Logf("SIGSTOP: noticed after %s, replaced after %s in all", noticed, time.Since(begun))
	if noticed > 4500*time.Millisecond { // 4 s by design, and what a busy machine adds
		t.Errorf("noticed after %s", noticed)
	}
	if next == pid || alive(pid) {
		t.Errorf("pid %d, then %d", pid, next)
	}
}

func TestWhatIsWrongWithABinaryIsReported(t *testing.T) {
	script := func(t *testing.T, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "berth-provider-script")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := map[string]struct {
		change func(t *testing.T, o *launch.Options)
		words  []string
	}{
		"wrong sha256": {func(t *testing.T, o *launch.Options) { o.SHA256 = strings.Repeat("0", 64) },
			[]string{strings.Repeat("0", 64), "sha256", mockBinary}},
		"missing": {func(t *testing.T, o *launch.Options) { o.Path = filepath.Join(t.TempDir(), "none") },
			[]string{"none"}},
		"prints before the handshake": {func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "#!/bin/sh\necho hello from an init function\nexit 3\n", 0o755)
		}, []string{"hello from an init function", "3"}},
		"not executable": {func(t *testing.T, o *launch.Options) { o.Path = script(t, "#!/bin/sh\n", 0o644) },
			[]string{"berth-provider-script", "execut"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := place(t)
			c.change(t, &o)
			s := supervise(t, supervisor.Process(o), nil)
			within(t, 10*time.Second, "BACKOFF", func() bool { return s.Report().State == lifecycle.Backoff })
			r := s.Report()
			t.Log(r.Reason)
			for _, w := range c.words {
				if !strings.Contains(r.Reason, w) {
					t.Errorf("the reason does not say %q", w)
				}
			}
			_, err := s.Get(t.Context(), provider.Ref{ID: "x"})
			wantUnavailable(t, err, c.words...)
		})
	}
}

// What 500 lives of a plugin leave behind: nothing. Under the race detector it is 50.
func TestGenerationsLeaveNothing(t *testing.T) {
	lives := 500
	if raced {
		lives = 50
	}
	o := place(t)
	e := &engine{}
	s := supervise(t, supervisor.Process(o), e, (*supervisor.Supervisor).Hurry)
	pid := generation(t, s, 1)
	pids := []int{pid}
	begun := time.Now()
	var threads, files, conns int // the most of generations 2 to 6: the last of each may linger a moment
	for n := 2; n <= lives+2; n++ {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		pid = generation(t, s, n)
		pids = append(pids, pid)
		if n <= 6 {
			threads, files, conns = max(threads, runtime.NumGoroutine()), max(files, descriptors()), max(conns, sockets())
		}
	}
	took := time.Since(begun)
	within(t, 10*time.Second, "as many goroutines, descriptors and sockets as in the first generations", func() bool {
		return runtime.NumGoroutine() <= threads && descriptors() <= files && sockets() <= conns
	})
	t.Logf("%d generations in %s: %d goroutines, %d descriptors and %d sockets at first; %d, %d and %d at last", lives, took.Round(time.Millisecond),
		threads, files, conns, runtime.NumGoroutine(), descriptors(), sockets())
	for _, old := range pids[:len(pids)-1] {
		if old != pid && alive(old) && executes(old, o.CacheDir) {
			t.Errorf("process %d is left", old)
		}
	}
	if left, err := os.ReadDir(o.RunDir); err != nil || len(left) > 1 {
		t.Errorf("in the run directory: %v, %v", left, err)
	}
}
