//go:build linux

package process

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// Health tells what sandboxes are isolated by on this machine, and what it can't enforce;
// see [provider.Provider]. A machine that can't isolate is not available, and says why.
func (p *Provider) Health(ctx context.Context) (provider.Health, error) {
	if err := ctx.Err(); err != nil {
		return provider.Health{}, failure(ctx, "health", "", "", "", err)
	}
	identity, err := p.dir.identity()
	if err != nil {
		return provider.Health{Message: err.Error()}, nil
	}
	if err := p.machine.basics(ctx); err != nil {
		if ctx.Err() != nil {
			return provider.Health{}, failure(ctx, "health", "", "", "", ctx.Err())
		}
		return provider.Health{Message: "this machine can't isolate sandboxes: " + err.Error()}, nil
	}
	return provider.Health{
		Available:   true,
		Version:     p.machine.version(),
		Identity:    identity,
		Limitations: p.machine.limitations(),
	}, nil
}

// Identity names this machine and this state directory; see [provider.Provider]. It stays
// the same when the machine boots again: the sandboxes are gone then, and the records tell.
func (p *Provider) Identity(ctx context.Context) (string, error) {
	id, err := p.dir.identity()
	if err != nil {
		return "", failure(ctx, "identity", "", "", "", err)
	}
	return id, nil
}
