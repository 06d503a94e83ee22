package dockertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// forget removes the pid files of a daemon and a containerd that were killed, where nobody
// has reaped them: the next daemon would take them for alive.
func (d *Daemon) forget() {
	_ = os.Remove(filepath.Join(d.Dir, "pid"))
	path := filepath.Join(d.Dir, "exec", "containerd", "containerd.pid")
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	stat := filepath.Join("/proc", strings.TrimSpace(string(text)), "stat")
	dead := func() bool {
		text, err := os.ReadFile(stat)
		return err != nil || strings.Contains(string(text), ") Z ")
	}
	// Its death follows that of the daemon. With Machine the number is of another namespace.
	if d.Machine || within(500*time.Millisecond, dead) {
		_ = os.Remove(path)
	}
}

// killRest kills what a killed daemon has left: its containerd, shims and sandboxes.
func (d *Daemon) killRest() error {
	var left []int
	if within(daemonPatience, func() bool {
		left = d.processes()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	}) {
		return nil
	}
	return fmt.Errorf("processes of the private daemon are left: %v", left)
}

// processes are those that were started with a path of this daemon as an argument, and
// their children: the sandboxes.
func (d *Daemon) processes() []int {
	var found []int
	parents := map[int]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(p, "stat"))
		if _, rest, ok := strings.Cut(string(stat), ") "); ok {
			if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" {
				parents[pid], _ = strconv.Atoi(f[1])
			}
		}
		if strings.Contains(string(cmdline), d.Dir+"/") {
			found = append(found, pid)
		}
	}
	for i := 0; i < len(found); i++ {
		for pid, parent := range parents {
			if parent == found[i] && !slices.Contains(found, pid) {
				found = append(found, pid)
			}
		}
	}
	return found
}

// unmountBelow lets go of mounts in dir, the newest first.
func unmountBelow(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	mounts := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Reverse(mounts)
	for _, m := range mounts {
		if f := strings.Fields(m); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			errs = append(errs, unmount(f[4]))
		}
	}
	return errors.Join(errs...)
}

// RemoveGroups removes the cgroups of that name, and those in them. The kernel lets go of
// them a moment after their last process.
func RemoveGroups(name string) error {
	var left []string
	if within(10*time.Second, func() bool {
		left = nil
		for _, pattern := range []string{"/sys/fs/cgroup/*/" + name, "/sys/fs/cgroup/" + name} {
			tops, _ := filepath.Glob(pattern)
			for _, top := range tops {
				removeTree(top)
				if _, err := os.Stat(top); err == nil {
					left = append(left, top)
				}
			}
		}
		return len(left) == 0
	}) {
		return nil
	}
	return fmt.Errorf("cgroups are left: %v", left)
}

// removeTree removes directories only, as cgroups want it.
func removeTree(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir)
}

// within asks until it is so, and reports whether that was within the bound.
func within(bound time.Duration, so func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(bound); !so(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
