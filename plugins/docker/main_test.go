package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// The things at the daemon that all tests share. Their names are of this run alone.
var networkInspect = network.InspectOptions{}

var world struct {
	owner   string
	network string
	image   string // runs the agent as root
	user    string // the same with user 1000:1000
	agent   string // path of the agent's binary
	api     *client.Client
	away    error // why there is no daemon
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) (code int) {
	run := uuid.NewString()
	world.owner = "test" + run[:8]
	world.network = "berth-test-" + run[:8]
	world.image = "berth-test-" + run[:8] + ":root"
	world.user = "berth-test-" + run[:8] + ":user"

	down, err := setUp()
	defer func() {
		if err := down(); err != nil {
			fmt.Fprintln(os.Stderr, "clean-up:", err)
			code = 1
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "set-up:", err)
		return 1
	}
	return m.Run()
}

// setUp makes the world. Without a daemon it only builds the agent.
func setUp() (down func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "berth-agent-")
	if err != nil {
		return func() error { return nil }, err
	}
	down = func() error { return os.RemoveAll(dir) }
	if world.agent, err = buildAgent(ctx, dir); err != nil {
		return down, err
	}
	if world.api, err = dockertest.Connect(); err != nil {
		return down, err
	}
	if _, world.away = world.api.Ping(ctx); world.away != nil {
		return down, world.api.Close()
	}
	fixtures := []dockertest.Fixture{
		{Image: world.image, Agent: world.agent, Network: world.network, Labels: []string{labelOwner + "=" + world.owner}},
		{Image: world.user, Agent: world.agent, User: "1000:1000"},
	}
	down = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		defer world.api.Close()
		errs := []error{leftContainers(ctx)}
		for _, f := range fixtures {
			errs = append(errs, dockertest.Down(ctx, world.api, f))
		}
		return errors.Join(append(errs, os.RemoveAll(dir))...)
	}
	for _, f := range fixtures {
		if err := dockertest.Up(ctx, world.api, f); err != nil {
			return down, err
		}
	}
	return down, nil
}

// leftContainers tells which containers the tests have left, of their owner or made from their
// images, and removes them.
func leftContainers(ctx context.Context) error {
	var errs []error
	for _, of := range []filters.KeyValuePair{
		filters.Arg("label", labelOwner+"="+world.owner), filters.Arg("ancestor", world.image), filters.Arg("ancestor", world.user),
	} {
		list, err := world.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(of)})
		if err != nil && !cerrdefs.IsNotFound(err) { // the image could not be made
			errs = append(errs, err)
		}
		for _, c := range list {
			errs = append(errs, fmt.Errorf("a container is left: %s %v", c.ID, c.Names),
				world.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
		}
	}
	return errors.Join(errs...)
}

// buildAgent builds the agent as it is shipped: static.
func buildAgent(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "agent")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./internal/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return path, nil
}

// needDaemon skips the test without a daemon, or fails it where one is required.
func needDaemon(t testing.TB) {
	t.Helper()
	if world.away != nil {
		without(t, "no Docker daemon answers: %v", world.away)
	}
}

// without ends a test that lacks a daemon: it is skipped, with the reason; where
// BERTH_REQUIRE_DOCKER=1 it fails.
func without(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" {
		t.Fatalf("BERTH_REQUIRE_DOCKER=1, and "+format, args...)
	}
	t.Skipf(format, args...)
}

// imageID asks the daemon for the id of an image.
func imageID(t testing.TB, name string) string {
	t.Helper()
	var img image.InspectResponse
	img, err := world.api.ImageInspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return img.ID
}
