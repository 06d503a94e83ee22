package launch_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/sdk/launch"
)

// mockBinary is the mock plugin, built once.
var mockBinary string

func TestMain(m *testing.M) {
	if os.Getenv(hostModeEnv) != "" {
		os.Exit(beHost())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "berth-launch-test-")
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
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// place is the directories of one host.
func place(t *testing.T) launch.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "bl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run, err := launch.PrepareRunDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return launch.Options{
		Name: "mock", Path: mockBinary,
		CacheDir: filepath.Join(dir, "plugins"), RunDir: run,
		Env:          launch.Environment(os.Environ(), nil),
		TermTimeout:  500 * time.Millisecond,
		DrainTimeout: time.Second,
	}
}

// start starts a plugin that is closed at the end of the test.
func start(t *testing.T, o launch.Options) *launch.Process {
	t.Helper()
	p, err := launch.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, p) })
	return p
}

func shut(t *testing.T, p *launch.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}

// script makes an executable shell script.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "berth-provider-script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// within waits until f holds, and fails the test when it does not in time.
func within(t *testing.T, d time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Since(begun) > d {
			t.Fatalf("not within %s: %s", d, what)
		}
		<-tick.C
	}
	return time.Since(begun)
}
