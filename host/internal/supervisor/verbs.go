package supervisor

import (
	"cmp"
	"context"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

// Prepare goes to the current generation; see [provider.Provider].
func (s *Supervisor) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return call(ctx, s, "prepare", req.Image, twice, func(ctx context.Context, p provider.Provider) (provider.Prepared, error) {
		return p.Prepare(ctx, req)
	})
}

// Create goes to a generation that is READY, and is never made a second time.
func (s *Supervisor) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	return call(ctx, s, "create", spec.SessionID, once, func(ctx context.Context, p provider.Provider) (provider.Created, error) {
		return p.Create(ctx, spec)
	})
}

// Get goes to the current generation.
func (s *Supervisor) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return call(ctx, s, "get", cmp.Or(ref.ID, ref.Name), twice, func(ctx context.Context, p provider.Provider) (provider.Sandbox, error) {
		return p.Get(ctx, ref)
	})
}

// List goes to the current generation. It is not made a second time once it has yielded
// something: nobody gets a sandbox twice.
func (s *Supervisor) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	begun := false
	again := func() bool { return !begun }
	return call(ctx, s, "list", "", again, func(ctx context.Context, p provider.Provider) (provider.ListSummary, error) {
		return p.List(ctx, func(sb provider.Sandbox) error {
			begun = true
			return yield(sb)
		})
	})
}

// Stop goes to the current generation.
func (s *Supervisor) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return call(ctx, s, "stop", req.ID, twice, func(ctx context.Context, p provider.Provider) (provider.Stopped, error) {
		return p.Stop(ctx, req)
	})
}

// Delete goes to the current generation.
func (s *Supervisor) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return call(ctx, s, "delete", req.ID, twice, func(ctx context.Context, p provider.Provider) (provider.Deleted, error) {
		return p.Delete(ctx, req)
	})
}

// Health goes to the current generation, also when its backend has changed.
func (s *Supervisor) Health(ctx context.Context) (provider.Health, error) {
	return call(ctx, s, "health", "", once, func(ctx context.Context, p provider.Provider) (provider.Health, error) {
		return p.Health(ctx)
	})
}

// Identity goes to the current generation, also when its backend has changed.
func (s *Supervisor) Identity(ctx context.Context) (string, error) {
	return call(ctx, s, "identity", "", once, func(ctx context.Context, p provider.Provider) (string, error) {
		return p.Identity(ctx)
	})
}

// Capabilities tells what the provider could do when it last said so.
func (s *Supervisor) Capabilities() []provider.Capability {
	return slices.Clone(s.Report().Capabilities)
}
