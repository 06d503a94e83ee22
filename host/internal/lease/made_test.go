package lease

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// Open tells when it made the store.
func TestMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	for _, c := range []struct {
		what   string
		before func() error
		made   bool
	}{
		{"nothing was ever there", func() error { return nil }, true},
		{"it is there", func() error { return nil }, false},
		{"it is gone", func() error { return os.Remove(path) }, true},
		{"it is damaged", func() error { return os.WriteFile(path, []byte("nonsense"), 0o600) }, true},
		{"it is there again", func() error { return nil }, false},
	} {
		if err := c.before(); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path, Options{})
		if s.Made() != c.made {
			t.Errorf("%s: made %v", c.what, s.Made())
		}
		s.Close()
	}
}

// A start that moves a damaged file aside and comes no further leaves nothing at the place of
// the store. The next one makes it, and tells what is beside it.
func TestAStartThatEndedBetweenTwoStores(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	dir := t.TempDir()
	if err := smalldisk.Mount(dir, "nr_inodes=20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { smalldisk.Unmount(dir) })
	path := filepath.Join(dir, "leases.db")
	if err := errors.Join(os.WriteFile(path, []byte("nonsense"), 0o600), smalldisk.FillNames(dir, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, Options{})
	if !errors.Is(err, provider.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("without room for a new one: %v", err)
	}
	left, err := setAsideBefore(path)
	if err != nil || len(left) != 1 {
		t.Fatalf("moved aside: %q, %v", left, err)
	}
	if err := smalldisk.Room(dir); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{})
	defer s.Close()
	if !s.Made() || s.Damaged() != "" || !slices.Equal(s.SetAside(), left) {
		t.Errorf("made %v, damaged %q, and beside it are %q", s.Made(), s.Damaged(), s.SetAside())
	}
}
