//go:build linux

package process

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
	"github.com/berth-dev/berth/sdk/provider"
)

// dockerBench runs the agent as a container of the daemon that the environment names.
type dockerBench struct {
	api *client.Client
	dockertest.Fixture
}

func newDockerBench(b *testing.B) (*dockerBench, error) {
	api, err := dockertest.Connect()
	if err != nil {
		return nil, err
	}
	b.Cleanup(func() { api.Close() })
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	if _, err := api.Ping(ctx); err != nil {
		if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" {
			b.Fatalf("BERTH_REQUIRE_DOCKER=1, and no Docker daemon answers: %v", err)
		}
		return nil, fmt.Errorf("no Docker daemon answers: %w", err)
	}
	name := "berth-bench-" + uuid.NewString()[:8]
	d := &dockerBench{api: api, Fixture: dockertest.Fixture{Image: name + ":agent", Agent: world.agent, Network: name}}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := dockertest.Down(ctx, api, d.Fixture); err != nil {
			b.Error(err)
		}
	})
	return d, dockertest.Up(b.Context(), api, d.Fixture)
}

func (d *dockerBench) once(b *testing.B, r *rig) {
	ctx := b.Context()
	made, err := d.api.ContainerCreate(ctx, &container.Config{Image: d.Image, Env: []string{"AGENT_ID=agent-7"}, Labels: map[string]string{dockertest.Label: "true"}},
		&container.HostConfig{CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, NetworkMode: container.NetworkMode(d.Network),
			Resources: container.Resources{Memory: 128 << 20, NanoCPUs: 1e9}}, nil, nil, "berth-bench-"+uuid.NewString())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := d.api.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			b.Error(err)
		}
	}()
	if err := d.api.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		b.Fatal(err)
	}
	c, err := d.api.ContainerInspect(ctx, made.ID)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range c.NetworkSettings.Networks {
		r.get(provider.Sandbox{Endpoint: &provider.Endpoint{IP: e.IPAddress, Port: 8000}}, "/")
	}
}
