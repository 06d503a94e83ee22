//go:build linux

package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
)

// The suite that every provider is put to: in this process, directly and over a connection.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: each stage of a sandbox is this program, whose start takes half a second with the race detector; make test runs it")
	}
	opts := conformance(t)
	providertest.Run(t, func() provider.Plugin { return Plugin() }, opts)
}

// The same against the binary that is shipped, launched as a host does it.
func TestConformanceBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	p := newPlugins(t)
	opts := conformance(t)
	opts.Env = launch.Environment(os.Environ(), nil)
	providertest.Binary(t, p.binary, opts)
}

// conformance says what the suite can't know of process trees.
func conformance(t testing.TB) providertest.Options {
	t.Helper()
	needNamespaces(t)
	parent := filepath.Join(stateDirFor(t), "here")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(parent, "state")
	config, err := json.Marshal(map[string]any{"state_dir": state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what a failed run leaves
		if _, err := os.Stat(parent); err != nil {
			_ = os.Rename(parent+".away", parent)
		}
		if _, err := os.Stat(state); err == nil {
			openRig(t, Config{StateDir: state}).removeAll()
		}
	})
	return providertest.Options{
		Config: config,
		Spec: provider.Spec{
			Command:   []string{"/agent/agent"},
			Mounts:    []provider.Mount{{Name: "agent", Source: filepath.Dir(world.agent), Target: "/agent", ReadOnly: true}},
			Port:      8000,
			Resources: provider.Resources{MemoryBytes: 128 << 20, NanoCPUs: 1e9, Pids: 64, Swap: provider.SwapAuto},
		},
		Mutate:   func(s *provider.Spec) { s.Image = "" }, // what this machine has
		Fails:    func(s *provider.Spec) { s.Command, s.ConfirmStart = []string{"/is/not/there"}, true },
		Prints:   func(s *provider.Spec, n int) { command("-print=" + strconv.Itoa(n))(s) },
		Stubborn: command("-ignore-sigterm"),
		Ready:    answers,
		Residue:  func(_ context.Context, owner string) ([]string, error) { return residue(state, owner) },
		Away: func(context.Context) (func(), error) {
			return func() { _ = os.Rename(parent+".away", parent) }, os.Rename(parent, parent+".away")
		},
		Timeout: time.Minute,
	}
}

// answers waits until the agent in a sandbox listens.
func answers(ctx context.Context, s provider.Sandbox) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Endpoint.IP, strconv.Itoa(s.Endpoint.Port)))
		if err == nil {
			return conn.Close()
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// residue are the directories of an owner's sandboxes, and those without a name, past the
// provider.
func residue(state, owner string) (left []string, err error) {
	dir := filepath.Join(state, "sandboxes")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		record, _ := os.ReadFile(filepath.Join(dir, e.Name(), "record.json"))
		if !sandboxName.MatchString(e.Name()) || bytes.Contains(record, []byte(strconv.Quote(owner))) {
			left = append(left, e.Name())
		}
	}
	return left, err
}
