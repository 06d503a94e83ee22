package docker

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
)

// The suite that every provider is put to: in this process, directly and over a connection.
func TestConformance(t *testing.T) {
	opts := conformance(t)
	providertest.Run(t, func() provider.Plugin { return Plugin() }, opts)
}

// The same against the binary that is shipped, launched as a host does it.
func TestConformanceBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	opts := conformance(t)
	path := filepath.Join(t.TempDir(), "berth-provider-docker")
	build := exec.Command("go", "build", "-o", path, "./cmd/berth-provider-docker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the plugin: %v\n%s", err, out)
	}
	opts.Env = launch.Environment(os.Environ(), nil)
	opts.Generations, opts.Kills = 50, 6
	providertest.Binary(t, path, opts)
}

// conformance says what the suite can't know of Docker. The daemon is reached through a
// door that can be shut, and that DOCKER_HOST names from now on.
func conformance(t *testing.T) providertest.Options {
	t.Helper()
	needDaemon(t)
	opts := providertest.Options{
		Spec: provider.Spec{Image: world.image, Network: world.network, Port: 8000,
			Resources: provider.Resources{MemoryBytes: 64 << 20, NanoCPUs: 5e8, Pids: 64, Swap: provider.SwapAuto}},
		Fails:    func(s *provider.Spec) { s.Command, s.ConfirmStart = []string{"/is/not/there"}, true },
		Prints:   func(s *provider.Spec, n int) { s.Command = []string{"/agent", "-print=" + strconv.Itoa(n)} },
		Stubborn: func(s *provider.Spec) { s.Command = []string{"/agent", "-ignore-sigterm"} },
		Ready:    answers,
		Residue:  residue,
		Unowned:  unowned,
		Timeout:  time.Minute,
		Soon:     15 * time.Second, // what the daemon has begun is awaited and undone
	}
	if socket := socketFromEnv(); socket != "" {
		d := newDoor(t)
		d.unlock(t, socket)
		t.Setenv("DOCKER_HOST", "unix://"+d.path)
		opts.Away = func(context.Context) (func(), error) {
			d.shut()
			return func() { d.unlock(t, socket) }, nil
		}
	}
	var owners sync.Map // what a run leaves is told, and goes with the test
	opts.Mutate = func(s *provider.Spec) { owners.Store(s.Owner, true) }
	t.Cleanup(func() {
		owners.Range(func(owner, _ any) bool {
			left, err := residue(context.Background(), owner.(string))
			if err != nil {
				t.Errorf("clean-up: %v", err)
			}
			for _, id := range left {
				t.Errorf("a container of owner %s is left: %s", owner, id)
				if err := world.api.ContainerRemove(context.Background(), id, container.RemoveOptions{Force: true}); err != nil {
					t.Errorf("clean-up of %s: %v", id, err)
				}
			}
			return true
		})
	})
	return opts
}

// answers waits until the agent in a sandbox listens.
func answers(ctx context.Context, s provider.Sandbox) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Endpoint.IP, strconv.Itoa(s.Endpoint.Port)))
		if err == nil {
			return conn.Close()
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// residue are the containers of an owner, past the provider.
func residue(ctx context.Context, owner string) ([]string, error) {
	found, err := world.api.ContainerList(ctx, container.ListOptions{All: true,
		Filters: filters.NewArgs(filters.Arg("label", labelOwner+"="+owner))})
	var ids []string
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// unowned makes a container with the six labels and without an owner, as older adapters do.
func unowned(ctx context.Context, spec provider.Spec) (id string, err error) {
	labels := writeLabels(spec)
	delete(labels, labelOwner)
	made, err := world.api.ContainerCreate(ctx, &container.Config{Image: world.image, Labels: labels},
		&container.HostConfig{NetworkMode: container.NetworkMode(world.network)}, nil, nil, spec.Name)
	if err != nil {
		return "", err
	}
	return made.ID, world.api.ContainerStart(ctx, made.ID, container.StartOptions{})
}
