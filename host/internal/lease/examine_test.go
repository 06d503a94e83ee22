package lease

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-dev/berth/sdk/provider"
)

func examine(t *testing.T, path string) Examination {
	t.Helper()
	x, err := Examine(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// What Examine tells is what Open would find, and it changes nothing.
func TestExamine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	if x := examine(t, path); x.Exists || len(names(t, filepath.Dir(path))) != 0 {
		t.Errorf("nothing is there: %+v, %q", x, names(t, filepath.Dir(path)))
	}
	s := openAt(t, path, Options{Owner: "me"})
	put(t, s, "a")
	put(t, s, "b")
	birth := s.Birth()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x := examine(t, path)
	if !x.Exists || x.Damage != "" || x.Owner != "me" || !x.Birth.Equal(birth) || len(x.Records) != 2 || x.Mode.Perm() != 0o644 || x.Size != int64(len(before)) {
		t.Errorf("%+v", x)
	}
	// Two may look at once; a store that opens meanwhile waits, and one that is open is
	// not read.
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lockShared(t.Context(), f, time.Second); err != nil {
		t.Fatal(err)
	}
	examine(t, path)
	if _, err := Open(t.Context(), path, Options{LockTimeout: 50 * time.Millisecond}); !errors.Is(err, provider.Unavailable) {
		t.Errorf("opened while it is looked at: %v", err)
	}
	if err := release(f); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{Owner: "me"})
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Examine(short, path); err == nil {
		t.Error("an open store was read")
	}
	s.Close()

	damaged := append(bytes.Repeat([]byte{0xEE}, len(before)/2), before[len(before)/2:]...)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if x = examine(t, path); x.Damage == "" || x.Records != nil || len(x.SetAside) != 0 {
		t.Errorf("a damaged one: %+v", x)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) || len(names(t, filepath.Dir(path))) != 1 {
		t.Errorf("the damaged file was touched: %v, %q", err, names(t, filepath.Dir(path)))
	}
	s = openAt(t, path, Options{})
	if moved := s.Damaged(); moved == "" {
		t.Error("Open sees no damage")
	} else if x = examine2(t, s, path); len(x.SetAside) != 1 || x.SetAside[0] != moved {
		t.Errorf("moved aside: %q, want %q", x.SetAside, moved)
	}
}

// examine2 closes a store first.
func examine2(t *testing.T, s *FileStore, path string) Examination {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return examine(t, path)
}

// One of a newer version is an error, as for Open; a directory is no store.
func TestExamineRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	s := openAt(t, path, Options{})
	err := s.db.Update(func(tx *bbolt.Tx) error {
		v, err := sealed(formatVersion+1, map[string]any{"birth": "in another form"})
		return errors.Join(err, tx.Bucket(headerBucket).Put(headerKey, v))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Examine(t.Context(), path); !errors.Is(err, provider.Unsupported) || !strings.Contains(err.Error(), "written by a newer version") {
		t.Errorf("a newer one: %v", err)
	}
	if _, err := Examine(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a directory: %v", err)
	}
}
