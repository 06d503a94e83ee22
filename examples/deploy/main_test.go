package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// world is what the tests that start programs share.
var world struct {
	once sync.Once
	err  error
	root string // of bin, which holds what make build makes, and the agent
}

func TestMain(m *testing.M) {
	code := m.Run()
	if world.root != "" {
		if err := os.RemoveAll(world.root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// built is the directory with bin/berth, bin/berth-provider-docker, bin/berth-provider-mock
// and agent, as they are shipped: static.
func built(t *testing.T) string {
	t.Helper()
	world.once.Do(func() {
		if world.root, world.err = os.MkdirTemp("", "bdep-bin-"); world.err != nil {
			return
		}
		world.err = errors.Join(
			compile(filepath.Join(world.root, "bin")+"/", "./host/cmd/berth", "./plugins/docker/cmd/berth-provider-docker", "./plugins/mock/cmd/berth-provider-mock"),
			compile(filepath.Join(world.root, "agent"), "./plugins/docker/internal/agent"))
	})
	if world.err != nil {
		t.Fatal(world.err)
	}
	return world.root
}

func compile(out string, packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", out}, packages...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(packages, " "), err, text)
	}
	return nil
}

// docker is a client of the machine's daemon. Without one the test is skipped, by name;
// with BERTH_REQUIRE_DOCKER it fails.
func docker(t *testing.T) *client.Client {
	t.Helper()
	api, err := daemon(t)
	if err != nil && os.Getenv("BERTH_REQUIRE_DOCKER") != "" {
		t.Fatalf("BERTH_REQUIRE_DOCKER is set, and no Docker daemon answers: %v", err)
	} else if err != nil {
		t.Skipf("no Docker daemon answers: %v", err)
	}
	return api
}

func daemon(t *testing.T) (*client.Client, error) {
	t.Helper()
	api, err := dockertest.Connect()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { api.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = api.Ping(ctx)
	return api, err
}

// background is a context for cleaning up, after that of the test.
func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // also when it is called by a Cleanup
	return ctx
}

// ownerOf is the uid and gid of a file.
func ownerOf(info os.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}

// shipped is this folder's config.hcl as it is without BERTH_* in the environment.
func shipped(t *testing.T) *config.Config { return loaded(t, "config.hcl") }

func loaded(t *testing.T, path string) *config.Config {
	t.Helper()
	for _, name := range []string{"BERTH_ROOT", "BERTH_IMAGE", "BERTH_NETWORK", "BERTH_METRICS"} {
		t.Setenv(name, "") // which puts it back afterwards
		os.Unsetenv(name)
	}
	cfg, diags := config.Load(path)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}
