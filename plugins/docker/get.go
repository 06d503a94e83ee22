package docker

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/sdk/provider"
)

// Get observes one container, by its full id or by its name; see [provider.Provider].
func (p *Provider) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	c, err := p.inspect(ctx, ref)
	if err != nil {
		return provider.Sandbox{}, p.failure(ctx, "get", refText(ref), "", "", err)
	}
	return fromInspect(c), nil
}

// inspect asks for exactly the container that ref names. Docker itself takes an id for
// a name and the beginning of an id for the whole.
func (p *Provider) inspect(ctx context.Context, ref provider.Ref) (container.InspectResponse, error) {
	c, err := p.daemon.client().ContainerInspect(ctx, refText(ref))
	if err != nil {
		return container.InspectResponse{}, err
	}
	if c.ContainerJSONBase == nil {
		return c, refusal(provider.Internal, "", "", "", "the daemon answered without a container")
	}
	if ref.ID != "" && c.ID != ref.ID || ref.ID == "" && strings.TrimPrefix(c.Name, "/") != ref.Name {
		return container.InspectResponse{}, fmt.Errorf("no such container: %s: %w", refText(ref), cerrdefs.ErrNotFound)
	}
	return c, nil
}

// refText is the id or, without one, the name.
func refText(ref provider.Ref) string {
	if ref.ID != "" {
		return ref.ID
	}
	return ref.Name
}
