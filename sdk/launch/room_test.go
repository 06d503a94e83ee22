package launch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// A disk without room for a directory keeps no plugin down: its sockets are elsewhere, until
// it ends.
func TestStartWithoutRoomForSockets(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	o := place(t)
	bad := o
	bad.Path = script(t, "exit 3")
	elsewhere, err := os.MkdirTemp("", "bl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	t.Setenv("TMPDIR", elsewhere)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sockets := func(dir string) int {
		t.Helper()
		found, err := os.ReadDir(dir)
		must(err)
		n := 0
		for _, e := range found {
			if !strings.HasPrefix(e.Name(), "ballast") {
				n++
			}
		}
		return n
	}
	must(smalldisk.Mount(o.RunDir, "nr_inodes=20"))
	t.Cleanup(func() { smalldisk.Unmount(o.RunDir) })
	standIn := ""
	for _, left := range []int{0, 1} { // a directory, and nothing in it
		must(smalldisk.FillNames(o.RunDir, left))
		p := start(t, o)
		must(p.Ping(t.Context()))
		if here, there := sockets(o.RunDir), sockets(elsewhere); here != 0 || there != 1 {
			t.Errorf("with %d names left there are %d in the run directory, %d elsewhere", left, here, there)
		}
		names, err := filepath.Glob(filepath.Join(elsewhere, "berth-*"))
		if must(err); len(names) != 1 {
			t.Fatalf("elsewhere are %q", names)
		}
		standIn = names[0]
		shut(t, p)
		if n := sockets(elsewhere); n != 0 {
			t.Errorf("%d are left", n)
		}
	}
	if _, err := launch.Start(t.Context(), bad); err == nil || sockets(elsewhere) != 0 {
		t.Errorf("what is no plugin: %v, and %d are left", err, sockets(elsewhere))
	}
	for _, dir := range []string{elsewhere, "/dev/shm"} {
		if _, err := os.Stat(dir); err == nil {
			must(smalldisk.Mount(dir, "nr_inodes=1"))
			t.Cleanup(func() { smalldisk.Unmount(dir) })
		}
	}
	_, err = launch.Start(t.Context(), o)
	var e *launch.Error
	if !errors.As(err, &e) || e.Reason != launch.RunDirFailed || !errors.Is(err, syscall.ENOSPC) ||
		!strings.Contains(err.Error(), "there is no room for sockets, neither in the run directory nor in "+elsewhere+" or /dev/shm: make room") {
		t.Errorf("with room nowhere: %v", err)
	}
	must(smalldisk.Room(o.RunDir))
	p := start(t, o)
	if n := sockets(o.RunDir); n != 1 {
		t.Errorf("with room again %d are in the run directory", n)
	}
	shut(t, p)

	// Of a host that was killed they stay, until the next one on its state directory starts.
	must(smalldisk.Unmount(elsewhere))
	must(os.MkdirAll(filepath.Join(standIn, "plugin-dir1"), 0o700))
	for _, others := range []string{"berth-1", "berth-0123456789ab-1"} {
		must(os.Mkdir(filepath.Join(elsewhere, others), 0o700))
	}
	_, err = launch.PrepareRunDir(filepath.Dir(o.RunDir))
	if must(err); sockets(elsewhere) != 2 {
		t.Errorf("%d are left, want the two of others", sockets(elsewhere))
	}
}

// A run directory that is there stays, and is emptied; one that others may enter is made anew.
func TestARunDirStays(t *testing.T) {
	o := place(t)
	left := filepath.Join(o.RunDir, "plugin-dir1")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	look := func() os.FileInfo {
		t.Helper()
		info, err := os.Stat(o.RunDir)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	was := look()
	if _, err := launch.PrepareRunDir(filepath.Dir(o.RunDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil || !os.SameFile(was, look()) {
		t.Errorf("it was made anew, or not emptied: %v", err)
	}
	if err := os.Chmod(o.RunDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := launch.PrepareRunDir(filepath.Dir(o.RunDir)); err != nil || look().Mode().Perm() != 0o700 {
		t.Errorf("one that was open: %v, %v", look().Mode(), err)
	}
}
