package host

import (
	"context"
	"fmt"

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
	block := r.slot.block()
	for setting, asked := range map[string]bool{
		"adopt":          len(block.Adopt) > 0,
		"accept_backend": block.AcceptBackend != "",
	} {
		if asked {
			return &provider.Error{Class: provider.Unsupported, Op: "configure", ID: name,
				Message: fmt.Sprintf("unsupported: %s is not available in this version; remove it from provider %q", setting, name)}
		}
	}
	return r.Supervised.Reconcile(ctx, name, p)
}
