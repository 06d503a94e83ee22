//go:build linux

package process

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/sdk/provider"
)

// list is what List yields.
func (r *rig) list() (all []provider.Sandbox) {
	r.t.Helper()
	if _, err := r.List(r.t.Context(), func(s provider.Sandbox) error { all = append(all, s); return nil }); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// processesOf are the processes of this machine with text in their command lines.
func processesOf(t testing.TB, text string) (found []string) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(b), text) {
			found = append(found, file+": "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

// nothingLeft checks that no sandbox of this test has left anything.
func (r *rig) nothingLeft(t *testing.T) {
	t.Helper()
	var names []string
	await(t, "empty state directory", func() bool {
		r.list() // sweeps
		entries, err := os.ReadDir(r.dir.sandboxes)
		if err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return len(names) == 0
	})
	for _, c := range []string{"memory", "cpu", "pids", "."} {
		left, _ := filepath.Glob(filepath.Join(cgroup.Mountpoint, c, defaultCgroup, "berth-"+world.owner+"-*"))
		if len(left) > 0 {
			t.Errorf("cgroups are left: %v", left)
		}
	}
	if left := processesOf(t, "berth-"+world.owner+"-"); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func discard(r io.Reader) (int, error) {
	n, err := io.Copy(io.Discard, r)
	return int(n), err
}
