package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// Enter puts the calling thread, which must be locked, into groups of version 1, so that
// what it starts is born there; leave takes it back to where it was. A thread that moves
// itself is moved at once. Moving another process, as [Add] does, waits for every processor
// to pass through the scheduler, which takes tens of milliseconds. ok is false where the
// groups are not of version 1, and nothing was done.
func Enter(dirs []string) (leave func() error, ok bool, err error) {
	if len(dirs) == 0 {
		return nil, false, nil
	}
	own, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return nil, false, err
	}
	var back []string
	for _, dir := range dirs {
		if _, err := os.Stat(path.Join(dir, "tasks")); err != nil {
			return nil, false, nil
		}
		home := homeOf(dir, string(own))
		if home == "" {
			return nil, false, nil
		}
		back = append(back, path.Join(home, "tasks"))
	}
	leave = func() error {
		var errs []error
		for _, file := range back {
			errs = append(errs, write(file, "0"))
		}
		return errors.Join(errs...)
	}
	for _, dir := range dirs {
		if err := write(path.Join(dir, "tasks"), "0"); err != nil {
			return nil, false, errors.Join(fmt.Errorf("cgroup: %w", err), leave())
		}
	}
	return leave, true, nil
}

// homeOf finds, in the text of proc_pid_cgroup(5), the directory of the group that a thread
// is in, in the hierarchy of dir.
func homeOf(dir, own string) string {
	rest, ok := strings.CutPrefix(dir, Mountpoint+"/")
	if !ok {
		return ""
	}
	controller, _, _ := strings.Cut(rest, "/")
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c == controller {
				return path.Join(Mountpoint, controller, f[2])
			}
		}
	}
	return ""
}
