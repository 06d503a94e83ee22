//go:build linux

package process

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/berth-dev/berth/plugins/internal/told"
	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
)

// requireVariable names what this machine has to have, with commas between: a test that lacks
// it fails then, and is not skipped.
const requireVariable = "BERTH_REQUIRE_ISOLATION"

// What may be required.
const (
	namespaces = "namespaces"
	cgroups    = "cgroups"
	landlock   = "landlock"
)

// required is what the environment requires. A word that is none of ours would require nothing.
func required() ([]string, error) {
	text := os.Getenv(requireVariable)
	if text == "" {
		return nil, nil
	}
	words := strings.Split(text, ",")
	for _, w := range words {
		if !slices.Contains([]string{namespaces, cgroups, landlock}, w) {
			return nil, fmt.Errorf("%s=%s: %q is none of %s, %s and %s", requireVariable, text, w, namespaces, cgroups, landlock)
		}
	}
	return words, nil
}

// without ends a test that lacks something of the machine: it is skipped, with the reason;
// where that is required it fails.
func without(t testing.TB, what, format string, args ...any) {
	t.Helper()
	words, err := required()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if slices.Contains(words, what) {
		t.Fatalf(requireVariable+" has "+what+", and "+format, args...)
	}
	t.Skipf(format, args...)
}

// needNamespaces ends a test where no sandbox can be made.
func needNamespaces(t testing.TB) {
	t.Helper()
	if err := newMachine(defaultCgroup, &self{dir: t.TempDir()}).basics(t.Context()); err != nil {
		without(t, namespaces, "this machine can't isolate: %v", err)
	}
}

// anyController is what a test needs that wants a group, whatever it limits.
const anyController = "any"

// needCgroup ends a test where a controller can't limit sandboxes.
func needCgroup(t testing.TB, tree *cgroup.Tree, controller string) {
	t.Helper()
	switch {
	case controller == anyController && tree.Version() == 0:
		without(t, cgroups, "no cgroup can be made here: %s", tree.Lacking("memory"))
	case controller != anyController && !tree.Has(controller):
		without(t, cgroups, "no %s cgroup can be made here: %s", controller, tree.Lacking(controller))
	}
}

// needLandlock ends a test where Landlock does not confine signals and abstract sockets.
func needLandlock(t testing.TB) {
	t.Helper()
	if abi := stage.LandlockABI(); abi < 6 {
		without(t, landlock, "Landlock %d; what is tried is stopped from 6 on", abi)
	}
}

// What is required fails where it lacks, and what is not is skipped. Both tell why.
func TestRequired(t *testing.T) {
	bare := cgroup.Find(t.TempDir(), "berth")
	for value, want := range map[string]string{
		"":                    "skipped: no pids cgroup can be made here: ",
		"namespaces":          "skipped: no pids cgroup can be made here: ",
		"cgroups":             "failed: BERTH_REQUIRE_ISOLATION has cgroups, and no pids cgroup can be made here: ",
		"landlock,cgroups":    "failed: BERTH_REQUIRE_ISOLATION has cgroups, and no pids cgroup can be made here: ",
		"cgroup":              `failed: BERTH_REQUIRE_ISOLATION=cgroup: "cgroup" is none of namespaces, cgroups and landlock`,
		"namespaces, cgroups": `failed: BERTH_REQUIRE_ISOLATION=namespaces, cgroups: " cgroups" is none of`,
	} {
		t.Setenv(requireVariable, value)
		how := told.By(func(t testing.TB) { needCgroup(t, bare, "pids") })
		if !strings.HasPrefix(how, want) {
			t.Errorf("%s=%q: %s, want %s", requireVariable, value, how, want)
		}
	}
}
