//go:build linux

package process

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk/provider"
)

// The names of the spans and of their attributes: those of the Docker provider, with this
// one's name and "sandbox" for "container".
const (
	spanCreate = "adapter.process.create_sandbox"
	spanStop   = "adapter.process.stop_sandbox"
	spanDelete = "adapter.process.delete_sandbox"
	spanList   = "adapter.process.list_active_sandboxes"

	attrChatID       = "chat.id"
	attrSessionID    = "session.id"
	attrSandboxID    = "sandbox.id"
	attrResult       = "sandbox.result"
	attrSandboxCount = "sandbox.sandbox_count"
	attrActiveCount  = "sandbox.active_count"

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
	text := err.Error()
	attrs := []attribute.KeyValue{attribute.String("error.type", string(provider.ClassOf(err)))}
	var coded *provider.Error
	if errors.As(err, &coded) && coded.Code != "" {
		text = coded.Code + ": " + text
		attrs = append(attrs, attribute.String("error.code", coded.Code))
		if coded.Err != nil {
			span.RecordError(coded.Err, trace.WithAttributes(attribute.Bool("error.cause", true)))
		}
	}
	span.SetAttributes(attribute.String(attrResult, resultError))
	span.RecordError(err, trace.WithAttributes(attrs...))
	span.SetStatus(codes.Error, text)
}
