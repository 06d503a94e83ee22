package lease_test

import (
	"path/filepath"
	"testing"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
)

func TestFileStore(t *testing.T) {
	paths := map[lease.Store]string{}
	open := func(t *testing.T, path string) lease.Store {
		s, err := lease.Open(t.Context(), path, lease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Damaged() != "" {
			t.Errorf("a good file was moved to %s", s.Damaged())
		}
		paths[s] = path
		return s
	}
	leasetest.Suite(t,
		func(t *testing.T) lease.Store { return open(t, filepath.Join(t.TempDir(), "leases.db")) },
		func(t *testing.T, s lease.Store) lease.Store { return open(t, paths[s]) })
}
