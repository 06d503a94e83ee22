//go:build linux

package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Version 2 on plain files: which are written, with what. A kernel makes a group's files
// with its directory; here a parent's are copied by hand.
func TestVersion2(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("cgroup.controllers", "cpu memory pids\n")
	put("cgroup.subtree_control", "cpu memory pids\n")
	put("berth/cgroup.subtree_control", "cpu memory pids\n")
	put("berth/memory.swap.max", "max\n")
	tree := Find(root, "berth")
	if tree.Version() != 2 || !tree.Has("memory") || !tree.Has("cpu") || !tree.Has("pids") || !tree.Has("swap") {
		t.Fatalf("%+v", tree)
	}
	if dirs := tree.Dirs("x"); len(dirs) != 1 || dirs[0] != filepath.Join(root, "berth/x") {
		t.Errorf("dirs = %v", dirs)
	}
	got := map[string]string{}
	for _, s := range tree.settings(Limits{MemoryBytes: 1 << 20, NanoCPUs: 15e8, Pids: 9}) {
		got[s.file] = s.value
	}
	for file, want := range map[string]string{"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "150000 100000", "pids.max": "9"} {
		if got[file] != want {
			t.Errorf("%s = %q, want %q", file, got[file], want)
		}
	}
	put("berth/x/memory.events", "low 0\noom 4\noom_kill 3\n")
	if n := CountOOM(tree.OOMFile("x")); n != 3 {
		t.Errorf("%d kills", n)
	}
}

// What can't be had is told, with the reason, and nothing is made.
func TestLacking(t *testing.T) {
	tree := Find(t.TempDir(), "berth")
	if tree.Version() != 0 || tree.Has("memory") || !strings.Contains(tree.Lacking("memory"), "not mounted") || len(tree.Dirs("x")) != 0 {
		t.Errorf("%+v", tree)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tree = Find(root, "berth/below") // what is above is not there
	if tree.Version() != 0 || tree.Has("pids") || tree.Lacking("pids") == "" {
		t.Errorf("%+v", tree)
	}
}

// A group that can't get its limits is removed again.
func TestMakeFails(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"memory", "cpu", "pids"} {
		if err := os.MkdirAll(filepath.Join(root, dir, "berth"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cgroup.procs", "berth/cpu.cfs_quota_us"} {
			if err := os.WriteFile(filepath.Join(root, dir, file), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	tree := Find(root, "berth")
	if tree.Version() != 1 {
		t.Fatalf("%+v", tree)
	}
	if err := tree.Make("x", Limits{1 << 20, 1e9, 9}); err == nil {
		t.Fatal("limits were set on files that are not there")
	}
	for _, dir := range tree.Dirs("x") {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}
