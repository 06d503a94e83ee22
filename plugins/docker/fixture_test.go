package docker

import (
	"context"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// The fixture is made again without leaving its old image, and goes with its containers.
func TestFixtureUpDown(t *testing.T) {
	t.Parallel()
	needDaemon(t)
	name := "berth-test-" + uuid.NewString()[:8]
	label := "berth.test=" + name
	f := dockertest.Fixture{Image: name, Agent: world.agent, Network: name, Labels: []string{label}}
	t.Cleanup(func() {
		if err := dockertest.Down(context.Background(), world.api, f); err != nil {
			t.Error(err)
		}
	})
	var before string
	for range 2 {
		if err := dockertest.Up(t.Context(), world.api, f); err != nil {
			t.Fatal(err)
		}
		now := imageID(t, name)
		if _, err := world.api.ImageInspect(t.Context(), before); before != "" && before != now && !cerrdefs.IsNotFound(err) {
			t.Errorf("the image before is left behind: %v", err)
		}
		before = now
	}
	made, err := world.api.ContainerCreate(t.Context(), &container.Config{Image: name, Labels: map[string]string{"berth.test": name}},
		&container.HostConfig{NetworkMode: container.NetworkMode(name)}, nil, nil, name)
	if err != nil {
		t.Fatal(err)
	}
	net, err := world.api.NetworkInspect(t.Context(), name, networkInspect)
	if err != nil || net.Options["com.docker.network.bridge.enable_icc"] != "false" || net.Driver != "bridge" {
		t.Errorf("network is %+v, %v; want a bridge without traffic between containers", net, err)
	}
	for range 2 {
		if err := dockertest.Down(t.Context(), world.api, f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := world.api.ContainerInspect(t.Context(), made.ID); !cerrdefs.IsNotFound(err) {
		t.Errorf("the container is left behind: %v", err)
	}
	if _, err := world.api.ImageInspect(t.Context(), name); !cerrdefs.IsNotFound(err) {
		t.Errorf("the image is left behind: %v", err)
	}
	if _, err := world.api.NetworkInspect(t.Context(), name, networkInspect); !cerrdefs.IsNotFound(err) {
		t.Errorf("the network is left behind: %v", err)
	}
}

// What the fixture has not made it neither takes nor removes.
func TestFixtureLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	needDaemon(t)
	name := "berth-test-" + uuid.NewString()[:8]
	made, err := world.api.NetworkCreate(t.Context(), name, network.CreateOptions{Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	f := dockertest.Fixture{Network: name}
	if err := dockertest.Up(t.Context(), world.api, f); err == nil || !strings.Contains(err.Error(), "was not made by this command") {
		t.Errorf("up on somebody's network: %v", err)
	}
	if err := dockertest.Down(t.Context(), world.api, f); err == nil || !strings.Contains(err.Error(), "it stays") {
		t.Errorf("down on somebody's network: %v", err)
	}
	if err := world.api.NetworkRemove(t.Context(), made.ID); err != nil {
		t.Errorf("somebody's network was removed: %v", err)
	}
	if err := dockertest.Down(t.Context(), world.api, dockertest.Fixture{Labels: []string{"berth.owner"}}); err == nil {
		t.Error("a label without a value removes everybody's containers")
	}
}
