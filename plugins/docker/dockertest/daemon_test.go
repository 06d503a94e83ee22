package dockertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// privateDaemon starts a daemon that ends with the test. Where that can't be done the test
// is skipped, by reason; with BERTH_REQUIRE_DOCKER=1 it fails.
func privateDaemon(t *testing.T, machine bool) *Daemon {
	t.Helper()
	if err := NeedDaemon(); err != nil {
		if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" && !errors.Is(err, ErrNotLinux) {
			t.Fatalf("BERTH_REQUIRE_DOCKER=1, and %v", err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "berth-dt-")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Dir: dir, Machine: machine}
	t.Cleanup(func() {
		if err := errors.Join(d.End(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// A private daemon is not in the machine's network namespace, where it would remove the
// bridge of the machine's own.
func TestDaemonsNetwork(t *testing.T) {
	d := privateDaemon(t, false)
	own, err := os.Readlink("/proc/self/ns/net")
	its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", d.Cmd().Process.Pid))
	if err := errors.Join(err, err2); err != nil || its == own {
		t.Errorf("it is in %s, this process in %s: %v", its, own, err)
	}
}

// It starts again on its data after a kill and after an end, and an end leaves nothing but
// files.
func TestDaemonsEnds(t *testing.T) {
	for _, machine := range []bool{false, true} {
		t.Run(fmt.Sprintf("machine=%v", machine), func(t *testing.T) {
			d := privateDaemon(t, machine)
			first := identity(t, d)
			d.Kill()
			for _, end := range []func() error{func() error { d.Kill(); return nil }, d.End} {
				if err := d.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if again := identity(t, d); again != first {
					t.Errorf("it is %s, and was %s", again, first)
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
			groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + d.group())
			if left := d.processes(); len(left)+len(groups) > 0 {
				t.Errorf("an end leaves %v, %v", left, groups)
			}
		})
	}
}

// A daemon asks a containerd that hangs for its stacks. They are the private daemon's, as all
// else is.
func TestStacksOfAContainerd(t *testing.T) {
	d := privateDaemon(t, true)
	if err := d.signalContainerd(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	late := time.After(daemonPatience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if found, _ := filepath.Glob(filepath.Join(d.Dir, "containerd.*.stacks.log")); len(found) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("no stacks in the daemon's directory")
		}
	}
}

// A daemon that can't start says why.
func TestDaemonThatCantStart(t *testing.T) {
	d := privateDaemon(t, true)
	d.Kill()
	d.Args = []string{"--no-such-option"}
	if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("the error is %v", err)
	}
}

func identity(t *testing.T, d *Daemon) string {
	t.Helper()
	api, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	info, err := api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.ID + "@" + info.DockerRootDir
}
