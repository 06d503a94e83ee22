package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mountpoint is where the kernel's interface is mounted, by convention.
const Mountpoint = "/sys/fs/cgroup"

// period is the time over which a CPU quota holds, in microseconds; the kernel's default.
const period = 100_000

// Limits are those of one sandbox. Each is more than 0.
type Limits struct {
	MemoryBytes int64
	NanoCPUs    int64
	Pids        int64
}

// Tree is where the groups of sandboxes are made.
type Tree struct {
	version int               // 1 or 2; 0: there is none
	parents map[string]string // by controller: the directory of the groups
	lacking map[string]string // by controller: why not
	swap    bool
}

// The controllers that sandboxes are limited by.
var controllers = []string{"memory", "cpu", "pids"}

// Find looks at what there is under root, which is Mountpoint but for tests, and makes the
// parent of all sandboxes, name, where it may. It always returns a Tree; what can't be had
// is told by it.
func Find(root, name string) *Tree {
	t := &Tree{parents: map[string]string{}, lacking: map[string]string{}}
	if _, err := os.Stat(path.Join(root, "cgroup.controllers")); err == nil {
		t.version = 2
		t.findV2(root, name)
	} else {
		t.version = 1
		t.findV1(root, name)
	}
	if len(t.parents) == 0 {
		t.version = 0
	}
	return t
}

func (t *Tree) findV1(root, name string) {
	for _, c := range controllers {
		dir := path.Join(root, c)
		if _, err := os.Stat(path.Join(dir, "cgroup.procs")); err != nil {
			t.lacking[c] = dir + " is not there: the controller is not mounted"
			continue
		}
		parent := path.Join(dir, name)
		if err := mkdir(parent); err != nil {
			t.lacking[c] = err.Error()
			continue
		}
		if c == "cpu" {
			if _, err := os.Stat(path.Join(parent, "cpu.cfs_quota_us")); err != nil {
				t.lacking[c] = "the kernel has no CFS bandwidth control"
				continue
			}
		}
		t.parents[c] = parent
	}
	if p := t.parents["memory"]; p != "" {
		_, err := os.Stat(path.Join(p, "memory.memsw.limit_in_bytes"))
		t.swap = err == nil
	}
}

func (t *Tree) findV2(root, name string) {
	lack := func(why string) {
		for _, c := range controllers {
			t.lacking[c] = why
		}
	}
	parent := path.Join(root, name)
	if err := mkdir(parent); err != nil {
		lack(err.Error())
		return
	}
	above := path.Dir(parent)
	for _, c := range controllers {
		for _, dir := range []string{above, parent} {
			if err := enable(dir, c); err != nil {
				t.lacking[c] = fmt.Sprintf("it can't be enabled in %s: %v", dir, err)
				break
			}
		}
		if t.lacking[c] == "" {
			t.parents[c] = parent
		}
	}
	if t.parents["memory"] != "" {
		_, err := os.Stat(path.Join(parent, "memory.swap.max"))
		t.swap = err == nil
	}
}

// enable makes a controller available to the groups in dir.
func enable(dir, controller string) error {
	file := path.Join(dir, "cgroup.subtree_control")
	if b, err := os.ReadFile(file); err == nil {
		for _, have := range strings.Fields(string(b)) {
			if have == controller {
				return nil
			}
		}
	}
	return write(file, "+"+controller)
}

// Version is 1 or 2, or 0 where no group can be made.
func (t *Tree) Version() int { return t.version }

// Has reports whether a controller can limit sandboxes: "memory", "cpu", "pids" or "swap".
func (t *Tree) Has(controller string) bool {
	if controller == "swap" {
		return t.swap
	}
	return t.parents[controller] != ""
}

// Lacking tells why a controller can't limit sandboxes.
func (t *Tree) Lacking(controller string) string {
	if controller == "swap" {
		return "the kernel does not account for swap"
	}
	return t.lacking[controller]
}

// Dirs are the directories of a group.
func (t *Tree) Dirs(id string) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range controllers {
		if p := t.parents[c]; p != "" && !seen[p] {
			seen[p] = true
			out = append(out, path.Join(p, id))
		}
	}
	return out
}

// DirsOf are the directories of all groups whose ids begin with prefix.
func (t *Tree) DirsOf(prefix string) []string {
	var out []string
	for _, dir := range t.Dirs("") {
		list, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range list {
			if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
				out = append(out, path.Join(dir, e.Name()))
			}
		}
	}
	return out
}

// OOMFile is the file in which the kills for memory of a group are counted; "" for none.
func (t *Tree) OOMFile(id string) string {
	switch p := t.parents["memory"]; {
	case p == "":
		return ""
	case t.version == 2:
		return path.Join(p, id, "memory.events")
	default:
		return path.Join(p, id, "memory.oom_control")
	}
}

// Make makes a group with its limits. On failure nothing is left.
func (t *Tree) Make(id string, l Limits) (err error) {
	dirs := t.Dirs(id)
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return errors.Join(err, Remove(context.Background(), dirs))
		}
	}
	for _, set := range t.settings(l) {
		parent := t.parents[set.controller]
		if parent == "" {
			continue
		}
		if err := write(path.Join(parent, id, set.file), set.value); err != nil {
			return errors.Join(err, Remove(context.Background(), dirs))
		}
	}
	return nil
}

type setting struct{ controller, file, value string }

// settings are the files to write, in this order: swap can't be limited below memory.
func (t *Tree) settings(l Limits) (out []setting) {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	quota := max(1000, l.NanoCPUs*period/1e9) // the kernel's minimum is 1 ms
	if t.version == 2 {
		out = append(out, setting{"memory", "memory.max", number(l.MemoryBytes)})
		if t.swap {
			out = append(out, setting{"memory", "memory.swap.max", "0"})
		}
		return append(out,
			setting{"memory", "memory.oom.group", "1"},
			setting{"cpu", "cpu.max", number(quota) + " " + number(period)},
			setting{"pids", "pids.max", number(l.Pids)})
	}
	out = append(out, setting{"memory", "memory.limit_in_bytes", number(l.MemoryBytes)})
	if t.swap {
		out = append(out, setting{"memory", "memory.memsw.limit_in_bytes", number(l.MemoryBytes)})
	}
	return append(out,
		setting{"cpu", "cpu.cfs_period_us", number(period)},
		setting{"cpu", "cpu.cfs_quota_us", number(quota)},
		setting{"pids", "pids.max", number(l.Pids)})
}

// Add puts a process into the group of one directory; what it starts is in it too.
func Add(dir string, pid int) error {
	if err := write(path.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// CountOOM reads how many processes the kernel has killed for memory. Both versions write
// a line "oom_kill <n>".
func CountOOM(file string) int {
	if file == "" {
		return 0
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			n, _ := strconv.Atoi(text)
			return n
		}
	}
	return 0
}

// Remove removes groups, and first kills what is in them. A missing one is success. It
// returns when they are gone, or ctx is done.
func Remove(ctx context.Context, dirs []string) error {
	for _, dir := range dirs {
		if err := remove(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

func remove(ctx context.Context, dir string) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		kill(dir)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("the cgroup %s is still in use: %w", dir, ctx.Err())
		}
	}
}

// kill kills what is in a group. Nothing gets in any more: its processes are alone in
// knowing it.
func kill(dir string) {
	if write(path.Join(dir, "cgroup.kill"), "1") == nil {
		return // version 2, Linux 5.14
	}
	b, err := os.ReadFile(path.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, text := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(text); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// mkdir makes the parent of groups, in which this process must be able to make more.
func mkdir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if err = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return &fs.PathError{Op: "write to", Path: dir, Err: err}
		}
	}
	return err
}

// write writes to a file that must exist.
func write(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
