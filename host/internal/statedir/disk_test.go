package statedir_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/host/internal/statedir"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// Look tells of a disk that is full, and of one that nobody may write, also beside a host.
func TestLookAtADisk(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	path := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(what, full, unwritable string) {
		t.Helper()
		s := statedir.Look(path, "")
		for _, c := range []struct {
			got  error
			want string
		}{{s.Full, full}, {s.Unwritable, unwritable}} {
			if got := fmt.Sprint(c.got); c.want == "" && c.got != nil || !strings.Contains(got, c.want) {
				t.Errorf("%s: %v, want %q", what, c.got, c.want)
			}
		}
		if s.Refuse != nil || s.Owner == "" || !s.Exists {
			t.Errorf("%s: %+v", what, s)
		}
	}
	must(smalldisk.Mount(path, "size=4m"))
	t.Cleanup(func() { smalldisk.Unmount(path) })
	d := open(t, path, "")
	look("with room", "", "")
	must(smalldisk.Fill(path))
	look("full", "state_dir "+path+" is on a file system that is full, or nearly: 0 bytes are free, and the leases want 1048576; make room", "")
	must(smalldisk.Room(path))
	look("with room again", "", "")
	must(smalldisk.ReadOnly(path))
	look("read-only", "", "state_dir "+path+" is on a file system that is mounted read-only; mount it for writing")
	must(d.Close())
	look("read-only, without a host", "", "mounted read-only")
	if _, err := statedir.Open(path, ""); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a host starts: %v", err)
	}
}

// Look tells what this user may not write.
func TestLookWithoutPermission(t *testing.T) {
	dir, err := os.MkdirTemp("", "berth-statedir-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "state")
	open(t, path, "").Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var who *syscall.SysProcAttr
	if os.Getuid() == 0 { // whom no mode stops
		who = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		content, err := os.ReadFile(exe)
		exe = filepath.Join(dir, "test")
		if err := errors.Join(err, os.WriteFile(exe, content, 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", "lock", "owner"} {
			if err := os.Chown(filepath.Join(path, name), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
	}
	lock := filepath.Join(path, "lock")
	for _, c := range []struct {
		name string
		mode os.FileMode
		want string
	}{
		{path, 0o700, "<nil>"},
		{lock, 0o400, "state_dir " + path + ": " + lock + " can't be written: permission denied; let this user write it"},
		{path, 0o500, "state_dir " + path + ": " + path + " can't be written: permission denied; let this user write it"},
	} {
		if err := os.Chmod(c.name, c.mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env, cmd.SysProcAttr = append(os.Environ(), "STATEDIR_TEST_LOOK="+path), who
		if text, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(text)) != c.want {
			t.Errorf("%s with mode %v: %v, %q, want %q", c.name, c.mode, err, text, c.want)
		}
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
