//go:build linux

package process

import (
	"context"
	"errors"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Delete removes the sandbox by force, at once: its processes, namespaces and mounts, its
// cgroups, its log and its record; see [provider.Provider].
func (p *Provider) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanDelete, attrSandboxID.String(req.ID))
	deleted := provider.Deleted{Outcome: provider.OutcomeDeleted}
	err := ctx.Err()
	var b *box
	if err == nil {
		b, err = p.fenced(req.ID, req.Fence)
	}
	if err == nil {
		err = crash.Point("process.delete.removing")
	}
	if err == nil {
		err = p.remove(ctx, b.dir, req.ID)
	}
	if err == nil {
		err = crash.Point("process.delete.removed")
	}
	switch {
	case errors.Is(err, provider.NotFound):
		deleted, err = provider.Deleted{Outcome: provider.OutcomeNotFound}, nil
	case err != nil:
		failed := failure(ctx, "delete", req.ID, codeStop, "sandbox was not removed", err)
		p.log.WarnContext(ctx, "delete failed", "code", codeStop, "class", string(failed.Class), "sandbox_id", req.ID, "error", failed)
		deleted, err = provider.Deleted{}, failed
	}
	spans.End(span, string(deleted.Outcome), err)
	return deleted, err
}
