package dockertest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// Label marks the images and networks that this package has made.
const Label = "berth.fixture"

// Fixture is an image and a network.
type Fixture struct {
	Image   string   // name of the image; "" for none
	Agent   string   // path of the static binary in it; see package agent
	User    string   // of the image; "" for root
	Network string   // name of the network; "" for none
	Labels  []string // "key=value": Down also removes the containers that bear one of them
}

// Connect makes a client for the daemon that the environment names.
func Connect() (*client.Client, error) {
	return client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
}

// Up makes the fixture. What is there already, and bears [Label], is made anew (the
// image) or kept (the network).
func Up(ctx context.Context, api *client.Client, f Fixture) error {
	if f.Image != "" {
		if err := upImage(ctx, api, f); err != nil {
			return err
		}
	}
	if f.Network != "" {
		return upNetwork(ctx, api, f.Network)
	}
	return nil
}

// Down removes the fixture: containers first, then the network, then the image. What
// is missing is success. It goes on after an error and returns them all.
func Down(ctx context.Context, api *client.Client, f Fixture) error {
	var errs []error
	for _, label := range f.Labels {
		errs = append(errs, removeContainers(ctx, api, label))
	}
	if f.Network != "" {
		errs = append(errs, downNetwork(ctx, api, f.Network))
	}
	if f.Image != "" {
		errs = append(errs, downImage(ctx, api, f.Image))
	}
	return errors.Join(errs...)
}

// upImage makes the image, and removes the one that bore its name before.
func upImage(ctx context.Context, api *client.Client, f Fixture) error {
	before, err := ownImage(ctx, api, f.Image)
	if err != nil {
		return err
	}
	if _, err := ImportImage(ctx, api, f.Image, f.Agent, f.User); err != nil || before == "" {
		return err
	}
	_, err = api.ImageRemove(ctx, before, image.RemoveOptions{PruneChildren: true})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) { // a container still needs it
		return nil
	}
	return err
}

// upNetwork makes a bridge on which containers can't reach each other.
func upNetwork(ctx context.Context, api *client.Client, name string) error {
	have, err := api.NetworkInspect(ctx, name, network.InspectOptions{})
	switch {
	case err == nil && have.Labels[Label] == "":
		return fmt.Errorf("network %s exists and was not made by this command; choose another name", name)
	case err == nil:
		return nil
	case !cerrdefs.IsNotFound(err):
		return err
	}
	_, err = api.NetworkCreate(ctx, name, network.CreateOptions{
		Driver:  "bridge",
		Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
		Labels:  map[string]string{Label: "true"},
	})
	return err
}

func downNetwork(ctx context.Context, api *client.Client, name string) error {
	have, err := api.NetworkInspect(ctx, name, network.InspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case have.Labels[Label] == "":
		return fmt.Errorf("network %s was not made by this command; it stays", name)
	}
	if err := api.NetworkRemove(ctx, have.ID); err != nil && !cerrdefs.IsNotFound(err) {
		return err
	}
	return nil
}

func downImage(ctx context.Context, api *client.Client, name string) error {
	if id, err := ownImage(ctx, api, name); err != nil || id == "" {
		return err
	}
	_, err := api.ImageRemove(ctx, name, image.RemoveOptions{Force: true, PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// ownImage returns the id of the image of that name, "" when there is none, and an error
// when this package has not made it.
func ownImage(ctx context.Context, api *client.Client, name string) (id string, err error) {
	have, err := api.ImageInspect(ctx, name)
	switch {
	case cerrdefs.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	case have.Config == nil || have.Config.Labels[Label] == "":
		return "", fmt.Errorf("image %s exists and was not made by this command; choose another name", name)
	}
	return have.ID, nil
}

// removeContainers removes by force every container that bears label.
func removeContainers(ctx context.Context, api *client.Client, label string) error {
	if key, value, ok := strings.Cut(label, "="); !ok || key == "" || value == "" {
		return fmt.Errorf("label %q would match too much; write key=value", label)
	}
	found, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range found {
		err := api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
