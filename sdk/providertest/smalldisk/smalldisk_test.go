package smalldisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// The machine's own mounts are nobody's to change.
func TestDisksOfTheMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("mounts of a process's own need Linux")
	}
	for name, err := range map[string]error{"Mount": smalldisk.Mount(t.TempDir(), "size=1m"), "ReadOnly": smalldisk.ReadOnly(t.TempDir())} {
		if err == nil || !strings.Contains(err.Error(), "begin with Alone or Shared") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDisks(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wants := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	t.Cleanup(func() { must(smalldisk.Unmount(dir)) })
	must(smalldisk.Mount(dir, "size=1m,nr_inodes=20"))
	must(os.WriteFile(kept, nil, 0o600))
	must(smalldisk.Fill(dir))
	wants("a byte on a full disk", os.WriteFile(kept, []byte("x"), 0o600), syscall.ENOSPC)
	must(smalldisk.FillNames(dir, 1))
	must(os.Mkdir(filepath.Join(dir, "last"), 0o700))
	wants("a directory too many", os.Mkdir(filepath.Join(dir, "more"), 0o700), syscall.ENOSPC)
	must(smalldisk.Room(dir))
	must(os.WriteFile(kept, []byte("x"), 0o600))
	must(smalldisk.ReadOnly(dir))
	wants("a write where nobody may", os.WriteFile(kept, []byte("y"), 0o600), syscall.EROFS)
	if text, err := os.ReadFile(kept); string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
}
