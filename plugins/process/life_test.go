//go:build linux

package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// awaitExit waits for the end of a sandbox and returns it.
func (r *rig) awaitExit(t *testing.T, id string) provider.Sandbox {
	t.Helper()
	var s provider.Sandbox
	await(t, "the sandbox's end", func() bool {
		var err error
		if s, err = r.Get(t.Context(), provider.Ref{ID: id}); err != nil {
			t.Fatal(err)
		}
		return s.State == provider.StateExited
	})
	return s
}

func TestExitIsTold(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec(func(s *provider.Spec) {
		s.Port = 0
		s.Command = []string{"sh", "-c", "sleep 0.5; exit 7"}
	})).Sandbox
	end := r.awaitExit(t, s.ID)
	if end.Exit == nil || end.Exit.Code != 7 || end.Exit.OOMKilled || time.Since(end.Exit.At).Abs() > time.Minute {
		t.Errorf("exit = %+v", end.Exit)
	}
	for _, listed := range r.list() {
		if listed.State != provider.StateExited || listed.Exit != nil || listed.Endpoint != nil {
			t.Errorf("listed = %+v", listed)
		}
	}
}

func TestOOMIsTold(t *testing.T) {
	r := newRig(t, Config{})
	needCgroup(t, r.machine.tree, "memory")
	s := r.create(r.newSpec(command("-eat-memory"), func(s *provider.Spec) { s.Port = 0; s.Resources.MemoryBytes = 32 << 20 })).Sandbox
	if end := r.awaitExit(t, s.ID); end.Exit == nil || !end.Exit.OOMKilled || end.Exit.Code != 137 {
		t.Errorf("exit = %+v", end.Exit)
	}
}

func TestStop(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		args  []string
		grace time.Duration
		code  int
	}{
		"polite":   {[]string{"-exit-at-sigterm", "5"}, time.Minute, 5},
		"stubborn": {[]string{"-ignore-sigterm"}, 100 * time.Millisecond, 137},
		"no grace": {[]string{"-exit-at-sigterm", "5"}, 0, 137},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := r.create(r.newSpec(command(c.args...))).Sandbox
			r.get(s, "/")
			req := provider.StopRequest{ID: s.ID, Fence: fenceOf(s), Grace: c.grace}
			for range 2 { // the second finds it stopped
				stopped, err := r.Stop(t.Context(), req)
				if err != nil || stopped.Outcome != provider.OutcomeStopped || stopped.Exit == nil || stopped.Exit.Code != c.code {
					t.Errorf("Stop = %+v (%+v), %v", stopped, stopped.Exit, err)
				}
			}
			if got, err := r.Get(t.Context(), provider.Ref{ID: s.ID}); err != nil || got.State != provider.StateExited {
				t.Errorf("after Stop: %+v, %v", got, err)
			}
			r.delete(s)
			if stopped, err := r.Stop(t.Context(), req); err != nil || stopped.Outcome != provider.OutcomeNotFound {
				t.Errorf("Stop of a missing sandbox = %+v, %v", stopped, err)
			}
		})
	}
}

// A shim that is killed takes its sandbox along, and the list tells.
func TestShimKilled(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec()).Sandbox
	r.get(s, "/")
	b, err := r.dir.find(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	shim, err := b.shim()
	if err != nil || shim == nil {
		t.Fatal(shim, err)
	}
	shim.signal(9)
	shim.close()
	if end := r.awaitExit(t, s.ID); end.Exit == nil || end.Exit.Code != 137 {
		t.Errorf("exit = %+v", end.Exit)
	}
	await(t, "the end of the init", func() bool {
		_, err := os.Stat("/proc/" + itoa(b.run.Init))
		return os.IsNotExist(err)
	})
	r.delete(s)
	r.nothingLeft(t)
}

// A stop that finds the shim killed just now returns when the sandbox runs no more, which is
// a moment later.
func TestStopAfterShimKilled(t *testing.T) {
	r := newRig(t, Config{})
	for range 20 {
		s := r.create(r.newSpec()).Sandbox
		b, err := r.dir.find(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		init, err := unix.PidfdOpen(b.run.Init, 0)
		if err != nil {
			t.Fatal(err)
		}
		shim, err := b.shim()
		if err != nil || shim == nil {
			t.Fatal(shim, err)
		}
		shim.signal(unix.SIGKILL)
		shim.close()
		if _, err := r.Stop(t.Context(), provider.StopRequest{ID: s.ID, Fence: fenceOf(s)}); err != nil {
			t.Fatal(err)
		}
		ended := []unix.PollFd{{Fd: int32(init), Events: unix.POLLIN}}
		if n, err := unix.Poll(ended, 0); n != 1 || err != nil {
			t.Errorf("it is stopped, and its init runs: %d, %v", n, err)
		}
		unix.Close(init)
		r.delete(s)
	}
}

// A sandbox is gone without a trace: processes, mounts, cgroups, files, descriptors.
func TestNothingLeft(t *testing.T) {
	r := newRig(t, Config{})
	before := mounts(t)
	for range 3 {
		s := r.create(r.newSpec()).Sandbox
		r.get(s, "/")
		if mine := len(processesOf(t, s.ID)); mine != 2 { // shim and init; the command bears no id
			t.Errorf("%d processes bear the id", mine)
		}
		b, err := r.dir.find(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := r.machine.tree.Dirs(s.ID); !slices.Equal(b.rec.Cgroups, want) {
			t.Errorf("cgroups = %v, and this machine gives %v", b.rec.Cgroups, want)
		}
		for _, dir := range b.rec.Cgroups {
			if pids, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err != nil || len(strings.Fields(string(pids))) < 2 {
				t.Errorf("%s holds %q, %v", dir, pids, err)
			}
		}
		r.delete(s)
		for _, dir := range b.rec.Cgroups {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s: %v", dir, err)
			}
		}
		if left := processesOf(t, s.ID); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if after := mounts(t); after != before {
		t.Errorf("mounts of the host before:\n%s\nafter:\n%s", before, after)
	}
	r.nothingLeft(t)
}

// CPU time is limited: the kernel has held the sandbox back.
func TestCPULimit(t *testing.T) {
	r := newRig(t, Config{})
	needCgroup(t, r.machine.tree, "cpu")
	s := r.create(r.newSpec(func(s *provider.Spec) { s.Resources.NanoCPUs = 4e7 })).Sandbox
	r.probe(s, "spin")
	b, err := r.dir.find(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "throttling", func() bool {
		for _, dir := range b.rec.Cgroups {
			stat, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
			if err == nil && strings.Contains(string(stat), "nr_throttled ") && !strings.Contains(string(stat), "nr_throttled 0\n") {
				return true
			}
		}
		return false
	})
}

// Two sandboxes share nothing that they were not given.
func TestSandboxesApart(t *testing.T) {
	r := newRig(t, Config{})
	a, b := r.create(r.newSpec()).Sandbox, r.create(r.newSpec()).Sandbox
	if text, ok := r.probe(a, "write", "/tmp/secret", "of a"); !ok {
		t.Fatal(text)
	}
	if text, ok := r.probe(a, "read", "/tmp/secret"); !ok || text != "of a" {
		t.Errorf("a reads %q", text)
	}
	if text, ok := r.probe(b, "read", "/tmp/secret"); ok {
		t.Errorf("b reads %q", text)
	}
	text, _ := r.probe(b, "processes")
	if got := strings.Split(text, "\n"); len(got) != 2 || !strings.HasPrefix(got[0], stage.InitName+" "+b.ID) {
		t.Errorf("b sees the processes %q", got)
	}
	other, err := r.dir.find(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := r.probe(b, "signal", itoa(other.run.Init)); ok {
		t.Errorf("b signals a: %s", text)
	}
	if text, ok := r.probe(b, "dial", "tcp", "127.0.0.1:"+itoa(a.Endpoint.Port)); ok {
		t.Errorf("b reaches a: %s", text)
	}
}

// mounts are those that this process sees.
func mounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var own []string // others mount too
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "berth-process") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}
