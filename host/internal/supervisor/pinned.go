package supervisor

import (
	"cmp"
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// pinned is the provider of one generation, for its reconcile: no call of it ever goes to
// another one.
type pinned struct{ g *generation }

var _ provider.Provider = pinned{}

func (p pinned) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return invoke(ctx, p.g, "prepare", req.Image, func(ctx context.Context, p provider.Provider) (provider.Prepared, error) {
		return p.Prepare(ctx, req)
	})
}

func (p pinned) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	return provider.Created{}, p.g.s.unavailable("create", spec.SessionID, reasonOf(p.g.s.Status()))
}

func (p pinned) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return invoke(ctx, p.g, "get", cmp.Or(ref.ID, ref.Name), func(ctx context.Context, p provider.Provider) (provider.Sandbox, error) {
		return p.Get(ctx, ref)
	})
}

func (p pinned) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	return invoke(ctx, p.g, "list", "", func(ctx context.Context, p provider.Provider) (provider.ListSummary, error) {
		return p.List(ctx, yield)
	})
}

func (p pinned) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return invoke(ctx, p.g, "stop", req.ID, func(ctx context.Context, p provider.Provider) (provider.Stopped, error) {
		return p.Stop(ctx, req)
	})
}

func (p pinned) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return invoke(ctx, p.g, "delete", req.ID, func(ctx context.Context, p provider.Provider) (provider.Deleted, error) {
		return p.Delete(ctx, req)
	})
}

func (p pinned) Health(ctx context.Context) (provider.Health, error) {
	return invoke(ctx, p.g, "health", "", func(ctx context.Context, p provider.Provider) (provider.Health, error) {
		return p.Health(ctx)
	})
}

func (p pinned) Identity(ctx context.Context) (string, error) {
	return invoke(ctx, p.g, "identity", "", func(ctx context.Context, p provider.Provider) (string, error) {
		return p.Identity(ctx)
	})
}
