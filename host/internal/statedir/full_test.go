package statedir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/host/internal/statedir"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// A full disk keeps no host out that was here before: its lock needs no room, and whose it is
// is told where that can be written.
func TestAFullDisk(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	path := t.TempDir()
	if err := smalldisk.Mount(path, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { smalldisk.Unmount(path) })
	first := open(t, path, "")
	owner := first.Owner()
	first.Close()
	for _, c := range []struct {
		what  string
		leave func(*statedir.Dir) error
		pid   int
	}{
		{"one that went", (*statedir.Dir).Close, os.Getpid()},
		{"one of an older version, which left the lock empty", func(d *statedir.Dir) error {
			return errors.Join(d.Close(), os.Truncate(filepath.Join(path, "lock"), 0))
		}, 0},
	} {
		d, err := statedir.Open(path, "")
		if err == nil {
			err = c.leave(d)
		}
		if err == nil {
			err = smalldisk.Fill(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err = statedir.Open(path, "")
		if err != nil {
			t.Fatalf("after %s: %v", c.what, err)
		}
		if d.Owner() != owner || errors.Is(d.Unnamed(), syscall.ENOSPC) != (c.pid == 0) {
			t.Errorf("after %s: owner %s, named: %v", c.what, d.Owner(), d.Unnamed())
		}
		if s := statedir.Look(path, ""); !s.Held || s.PID != c.pid {
			t.Errorf("after %s: %+v", c.what, s)
		}
		want := "is in use by the host with pid "
		if c.pid == 0 {
			want = "is in use by another host;"
		}
		if _, err := statedir.Open(path, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second one after %s: %v", c.what, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := smalldisk.Room(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Who holds it is told by a line of one length, which is blank when it is let go of.
func TestTheLineOfTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	lock := filepath.Join(path, "lock")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(lock)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	d := open(t, path, "")
	held := read()
	d.Close()
	if left := read(); len(left) != len(held) || strings.TrimSpace(left) != "" || !strings.HasSuffix(held, "\n") {
		t.Errorf("held it says %q, and then %q", held, left)
	}
}
