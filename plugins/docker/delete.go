package docker

import (
	"context"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Delete removes the container by force, at once; see [provider.Provider].
func (p *Provider) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanDelete, attrContainerID.String(req.ID))
	deleted := provider.Deleted{Outcome: provider.OutcomeDeleted}
	err := p.delete(ctx, req)
	switch {
	case cerrdefs.IsNotFound(err):
		deleted, err = provider.Deleted{Outcome: provider.OutcomeNotFound}, nil
	case err != nil:
		deleted = provider.Deleted{}
		err = p.failure(ctx, "delete", req.ID, codeStop, "sandbox was not removed", err)
		p.log.WarnContext(ctx, "delete failed", "code", codeStop, "class", string(provider.ClassOf(err)),
			"container_id", req.ID, "error", err)
	}
	spans.End(span, string(deleted.Outcome), err)
	return deleted, err
}

func (p *Provider) delete(ctx context.Context, req provider.DeleteRequest) error {
	labels := p.made.get(req.ID)
	if labels == nil {
		c, err := p.inspect(ctx, provider.Ref{ID: req.ID})
		if err != nil {
			return err
		}
		labels = labelsOf(c)
	}
	if err := checkFence(labels, req.Fence); err != nil {
		return err
	}
	if err := crash.Point("docker.delete.removing"); err != nil {
		return err
	}
	found, err := p.removeIfThere(ctx, req.ID)
	if err == nil {
		err = crash.Point("docker.delete.removed")
	}
	if err != nil {
		return err
	}
	p.made.forget(req.ID)
	if !found {
		return fmt.Errorf("no such container: %s: %w", req.ID, cerrdefs.ErrNotFound)
	}
	return nil
}
