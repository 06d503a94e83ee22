package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
)

// suiteOptions tells the conformance suite what a sandbox of this provider is made from.
func suiteOptions(t testing.TB) providertest.Options {
	t.Helper()
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "sandboxes")
	config, err := json.Marshal(map[string]any{"dir": dir, "unconfined": true})
	if err != nil {
		t.Fatal(err)
	}
	script := func(text string) []string { return []string{"-c", text} }
	return providertest.Options{
		Config: config,
		Spec:   provider.Spec{Image: "/bin/sh", Command: script("echo ready; exec sleep 1000"), Port: 8000},
		Fails: func(s *provider.Spec) {
			s.ConfirmStart, s.Command = true, script("echo it can not be; exit 1")
		},
		Stubborn: func(s *provider.Spec) { s.Command = script("trap '' TERM; echo ready; while :; do sleep 1; done") },
		Ready: func(ctx context.Context, s provider.Sandbox) error {
			for {
				text, err := os.ReadFile(filepath.Join(dir, s.Name, "log"))
				if err != nil || strings.Contains(string(text), "ready\n") {
					return err
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Millisecond):
				}
			}
		},
		Away: func(context.Context) (func(), error) {
			return func() { _ = os.Rename(parent+".away", parent) }, os.Rename(parent, parent+".away")
		},
		Residue: func(_ context.Context, owner string) (left []string, err error) {
			names, err := os.ReadDir(dir)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			for _, n := range names {
				record, _ := os.ReadFile(filepath.Join(dir, n.Name(), "record"))
				if strings.HasPrefix(n.Name(), ".") || strings.Contains(string(record), `"`+owner+`"`) {
					left = append(left, n.Name())
				}
			}
			return left, err
		},
	}
}

// The provider keeps what the contract promises: bare, over the wire, and as a binary.
func TestConformance(t *testing.T) {
	opts := suiteOptions(t)
	providertest.Run(t, func() provider.Plugin { return Plugin() }, opts)
}

func TestConformanceBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "berth-provider-example")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	providertest.Binary(t, binary, suiteOptions(t))
}

// What the boundary costs: the hop of a call, and a list per thousand.
func BenchmarkBoundary(b *testing.B) {
	providertest.Benchmark(b, func() provider.Plugin { return Plugin() }, suiteOptions(b))
}
