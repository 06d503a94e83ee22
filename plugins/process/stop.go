//go:build linux

package process

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Stop ends what runs in the sandbox and keeps its record and log; see
// [provider.Provider]. The command gets SIGTERM; when it has ended, or the grace has
// passed, all that is left is killed.
func (p *Provider) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanStop, attrSandboxID.String(req.ID))
	stopped, err := p.stop(ctx, req, span)
	switch {
	case errors.Is(err, provider.NotFound):
		stopped, err = provider.Stopped{Outcome: provider.OutcomeNotFound}, nil
	case err != nil:
		failed := failure(ctx, "stop", req.ID, codeStop, "sandbox was not stopped", err)
		p.log.WarnContext(ctx, "stop failed", "code", codeStop, "class", string(failed.Class), "sandbox_id", req.ID, "error", failed)
		stopped, err = provider.Stopped{}, failed
	}
	spans.End(span, string(stopped.Outcome), err)
	return stopped, err
}

func (p *Provider) stop(ctx context.Context, req provider.StopRequest, span trace.Span) (provider.Stopped, error) {
	b, err := p.fenced(req.ID, req.Fence)
	if err != nil {
		return provider.Stopped{}, err
	}
	span.SetAttributes(spans.SessionID.String(b.rec.SessionID), spans.ChatID.String(b.rec.ChatID))
	if err := crash.Point("process.stop.sending"); err != nil {
		return provider.Stopped{}, err
	}
	if b.held && b.run.Up && req.Grace > 0 {
		if err := b.term(ctx, req); err != nil {
			return provider.Stopped{}, err
		}
		if b, err = p.fenced(req.ID, req.Fence); err != nil {
			return provider.Stopped{}, err
		}
	}
	if err := p.kill(ctx, b); err != nil {
		return provider.Stopped{}, err
	}
	if b, err = p.fenced(req.ID, req.Fence); err != nil {
		return provider.Stopped{}, err
	}
	if err := crash.Point("process.stop.stopped"); err != nil {
		return provider.Stopped{}, err
	}
	return provider.Stopped{Outcome: provider.OutcomeStopped, Exit: b.ended()}, nil
}

// term asks the command to end, and waits as long as the grace. The error is ctx's.
func (b *box) term(ctx context.Context, req provider.StopRequest) error {
	s, err := b.shim()
	if err != nil || s == nil {
		return err
	}
	defer s.close()
	s.signal(stage.SignalTerm)
	grace, cancel := context.WithTimeout(ctx, req.Grace)
	defer cancel()
	_ = s.await(grace)
	return ctx.Err()
}

// fenced finds a sandbox and refuses one that is not the one that the caller means.
func (p *Provider) fenced(id string, fence provider.Fence) (*box, error) {
	b, err := p.dir.find(id)
	if err != nil {
		return nil, err
	}
	return b, checkFence(b.rec, fence)
}
