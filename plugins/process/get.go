//go:build linux

package process

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// Get observes one sandbox, by its id or by its name; see [provider.Provider].
func (p *Provider) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	var b *box
	err := ctx.Err()
	what := ref.ID
	switch {
	case err != nil:
	case ref.ID != "":
		b, err = p.dir.find(ref.ID)
	default:
		what = ref.Name
		b, err = p.dir.byName(ref.Name)
	}
	if err != nil {
		return provider.Sandbox{}, failure(ctx, "get", what, "", "", err)
	}
	return b.sandbox(true), nil
}
