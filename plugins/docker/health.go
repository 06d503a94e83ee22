package docker

import (
	"context"
	"fmt"

	"github.com/berth-dev/berth/sdk/provider"
)

// Health asks the daemon how it is; see [provider.Provider]. A daemon that is away is
// an answer, not an error.
func (p *Provider) Health(ctx context.Context) (provider.Health, error) {
	bound, cancel := context.WithTimeout(ctx, healthBound)
	defer cancel()
	info, err := p.daemon.askInfo(bound)
	if err == nil {
		identity, err := identityOf(info)
		if err != nil {
			return provider.Health{}, err
		}
		return provider.Health{
			Available:   true,
			Version:     "Docker " + info.ServerVersion + ", API " + p.daemon.client().ClientVersion(),
			Identity:    identity,
			Limitations: limitations(info),
		}, nil
	}
	if bound.Err() != nil && ctx.Err() == nil {
		return provider.Health{Message: fmt.Sprintf("the daemon did not answer within %s", healthBound)}, nil
	}
	failed := p.failure(ctx, "health", "", "", "", err)
	if failed.Class == provider.Unavailable {
		return provider.Health{Message: err.Error()}, nil
	}
	return provider.Health{}, failed
}
