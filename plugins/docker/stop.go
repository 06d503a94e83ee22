package docker

import (
	"context"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Stop ends what runs in the container and keeps the container; see
// [provider.Provider]. Docker counts the grace in whole seconds: it is rounded up.
func (p *Provider) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanStop, attrContainerID.String(req.ID))
	stopped, err := p.stop(ctx, req, span)
	switch {
	case cerrdefs.IsNotFound(err):
		stopped, err = provider.Stopped{Outcome: provider.OutcomeNotFound}, nil
	case err != nil:
		err = p.failure(ctx, "stop", req.ID, codeStop, "sandbox was not stopped", err)
		p.log.WarnContext(ctx, "stop failed", "code", codeStop, "class", string(provider.ClassOf(err)),
			"container_id", req.ID, "error", err)
	}
	spans.End(span, string(stopped.Outcome), err)
	return stopped, err
}

func (p *Provider) stop(ctx context.Context, req provider.StopRequest, span trace.Span) (provider.Stopped, error) {
	ref := provider.Ref{ID: req.ID}
	c, err := p.inspect(ctx, ref)
	if err != nil {
		return provider.Stopped{}, err
	}
	labels := labelsOf(c)
	span.SetAttributes(spans.SessionID.String(labels[labelSessionID]), spans.ChatID.String(labels[labelChatID]))
	if err := checkFence(labels, req.Fence); err != nil {
		return provider.Stopped{}, err
	}
	seconds := int(max(0, req.Grace+time.Second-1) / time.Second)
	if err := crash.Point("docker.stop.sending"); err != nil {
		return provider.Stopped{}, err
	}
	if err := p.daemon.client().ContainerStop(ctx, req.ID, container.StopOptions{Timeout: &seconds}); err != nil {
		return provider.Stopped{}, err
	}
	if err := crash.Point("docker.stop.stopped"); err != nil {
		return provider.Stopped{}, err
	}
	if c, err = p.inspect(ctx, ref); err != nil {
		return provider.Stopped{}, err
	}
	return provider.Stopped{Outcome: provider.OutcomeStopped, Exit: exitOf(c)}, nil
}
