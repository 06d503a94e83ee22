package docker

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk/provider"
)

// The names of the spans and of their attributes. Dashboards know them.
const (
	spanCreate = "adapter.docker.create_sandbox"
	spanStop   = "adapter.docker.stop_sandbox"
	spanDelete = "adapter.docker.delete_sandbox"
	spanList   = "adapter.docker.list_active_sandboxes"

	attrChatID         = "chat.id"
	attrSessionID      = "session.id"
	attrContainerID    = "container.id"
	attrResult         = "sandbox.result"
	attrContainerCount = "sandbox.container_count"
	attrActiveCount    = "sandbox.active_count"

	resultListed = "listed"
	resultError  = "error"
)

// startSpan begins the span of one operation, a child of ctx's.
func (p *Provider) startSpan(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return p.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
}

// endSpan ends a span with its result, or with the coded error and that error's cause.
func endSpan(span trace.Span, result string, err error) {
	defer span.End()
	if err == nil {
		span.SetAttributes(attribute.String(attrResult, result))
		return
	}
	span.SetAttributes(attribute.String(attrResult, resultError))
	class := string(provider.ClassOf(err))
	text := err.Error()
	var coded *provider.Error
	if errors.As(err, &coded) && coded.Code != "" {
		text = coded.Code + ": " + text
		span.RecordError(err, trace.WithAttributes(
			attribute.String("error.code", coded.Code), attribute.String("error.type", class)))
		if coded.Err != nil {
			span.RecordError(coded.Err, trace.WithAttributes(attribute.Bool("error.cause", true)))
		}
	} else {
		span.RecordError(err, trace.WithAttributes(attribute.String("error.type", class)))
	}
	span.SetStatus(codes.Error, text)
}
