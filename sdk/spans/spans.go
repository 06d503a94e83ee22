// Package spans is what the spans of every provider have in common: the attributes that
// dashboards know, and how a span tells that its operation has failed.
//
// A provider names its spans adapter.NAME.VERB_sandbox, gives them the ids that it knows,
// and ends each with [End].
package spans

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk/provider"
)

// The attributes of spans that mean the same on every provider.
const (
	ChatID      = attribute.Key("chat.id")
	SessionID   = attribute.Key("session.id")
	Result      = attribute.Key("sandbox.result") // an outcome, Listed or Failed
	ActiveCount = attribute.Key("sandbox.active_count")
)

// The results that are no [provider.Outcome].
const (
	Listed = "listed"
	Failed = "error"
)

// Start begins the span of one operation, a child of ctx's: the backend is asked for it.
func Start(ctx context.Context, tracer trace.Tracer, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
}

// End ends a span with the result of its operation. With an error the result is [Failed],
// whatever was given: the span has the error's text with its code before it as its status,
// and records the error with its class and code, and, of a coded one, its cause beside it.
func End(span trace.Span, result string, err error) {
	defer span.End()
	if err == nil {
		span.SetAttributes(Result.String(result))
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
	span.SetAttributes(Result.String(Failed))
	span.RecordError(err, trace.WithAttributes(attrs...))
	span.SetStatus(codes.Error, text)
}
