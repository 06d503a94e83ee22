package providertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// memOptions are those for the in-memory provider on b.
func memOptions(b *mem.Backend) providertest.Options {
	return providertest.Options{
		Spec: provider.Spec{Port: 8000},
		Away: func(context.Context) (func(), error) {
			b.SetAvailable(false)
			return func() { b.SetAvailable(true) }, nil
		},
		Unowned: func(_ context.Context, spec provider.Spec) (string, error) {
			return b.Put(provider.Sandbox{Name: spec.Name, SessionID: spec.SessionID, ChatID: spec.ChatID, ExpiresAt: spec.ExpiresAt}), nil
		},
		Fails:    func(s *provider.Spec) { s.Config = []byte(`{"create_error":"internal"}`) },
		Stubborn: func(s *provider.Spec) { s.Config = []byte(`{"stubborn":true}`) },
		Prints:   memPrints,
		Residue:  func(_ context.Context, owner string) ([]string, error) { return residue(b.Sandboxes(), owner), nil },
	}
}

func memPrints(s *provider.Spec, n int) {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", i)
	}
	s.Config, _ = json.Marshal(map[string]any{"log": lines})
}

// residue are the ids of an owner's sandboxes.
func residue(all []provider.Sandbox, owner string) []string {
	var ids []string
	for _, s := range all {
		if s.Owner == owner {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func TestConformanceMem(t *testing.T) {
	b := mem.NewBackend("conformance")
	providertest.Run(t, func() provider.Plugin { return mem.Plugin(b) }, memOptions(b))
	if left := b.Sandboxes(); len(left) != 0 {
		t.Errorf("left at the backend: %+v", left)
	}
}

// TestConformanceMock runs the suite against the mock binary, whose sandboxes are in a file.
func TestConformanceMock(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	opts, dir := mockOptions(t)
	providertest.Binary(t, mockBinary, opts)
	if left, err := filepath.Glob(filepath.Join(dir, "state.json*")); err != nil || slices.ContainsFunc(left, func(f string) bool {
		return filepath.Base(f) != "state.json" && filepath.Base(f) != "state.json.lock"
	}) {
		t.Errorf("left beside the state file: %q, %v", left, err)
	}
}

// mockOptions are those for the mock binary, with a state file of its own.
func mockOptions(t *testing.T) (opts providertest.Options, dir string) {
	t.Helper()
	dir = t.TempDir()
	state := filepath.Join(dir, "state.json")
	config, err := json.Marshal(map[string]any{"identity": "conformance", "state_file": state})
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Options{
		Config:   config,
		Spec:     provider.Spec{Port: 8000},
		Fails:    func(s *provider.Spec) { s.Config = []byte(`{"create_error":"internal"}`) },
		Stubborn: func(s *provider.Spec) { s.Config = []byte(`{"stubborn":true}`) },
		Prints:   memPrints,
		Unowned: func(_ context.Context, spec provider.Spec) (string, error) {
			b, err := mem.Open("past", state)
			if err != nil {
				return "", err
			}
			return b.Put(provider.Sandbox{Name: spec.Name, SessionID: spec.SessionID, ChatID: spec.ChatID, ExpiresAt: spec.ExpiresAt}), nil
		},
		Residue: func(_ context.Context, owner string) ([]string, error) {
			b, err := mem.Open("past", state)
			if err != nil {
				return nil, err
			}
			return residue(b.Sandboxes(), owner), nil
		},
	}, dir
}

// mockBinary is the mock plugin, built once.
var mockBinary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "berth-providertest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	mockBinary = filepath.Join(dir, "berth-provider-mock")
	build := exec.Command("go", "build", "-o", mockBinary, "github.com/berth-dev/berth/plugins/mock/cmd/berth-provider-mock")
	build.Stderr = os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the mock plugin:", err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
