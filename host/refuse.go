package host

import (
	"context"
	"fmt"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// refusing keeps a provider DEGRADED whose block asks for what this version can't do
// safely: nothing is created on it, and nothing of it is touched.
type refusing struct {
	lifecycle.Supervised
	slot *slot
}

func (r refusing) Reconcile(ctx context.Context, name string, p provider.Provider) error {
	if err := unsupported(r.slot.block()); err != nil {
		return err
	}
	return r.Supervised.Reconcile(ctx, name, p)
}

// unsupported says what a block asks for that this version can't do; nil when it is nothing.
func unsupported(block *config.Provider) error {
	for setting, asked := range map[string]bool{
		"adopt":          len(block.Adopt) > 0,
		"accept_backend": block.AcceptBackend != "",
	} {
		if asked {
			return &provider.Error{Class: provider.Unsupported, Op: "configure", ID: block.Name,
				Message: fmt.Sprintf("unsupported: %s is not available in this version; remove it from provider %q", setting, block.Name)}
		}
	}
	return nil
}
