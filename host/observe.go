package host

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/metrics"
)

// instrumentation is the name under which the host's spans are recorded.
const instrumentation = "github.com/berth-dev/berth/host"

// observer turns what the engine does into metrics and spans.
type observer struct {
	metrics *metrics.Metrics
	tracer  trace.Tracer
}

var _ lifecycle.Observer = observer{}

func (o observer) Ended(name string, reason lease.Reason)   { o.metrics.Ended(name, reason) }
func (o observer) ExpiryLag(name string, lag time.Duration) { o.metrics.ExpiryLag(name, lag) }
func (o observer) BadAnswer(name, method string)            { o.metrics.BadAnswer(name, method) }
func (o observer) Orphan(name, action string)               { o.metrics.Orphan(name, action) }

// Operation begins the span of one operation on a provider; the provider's own spans
// are its children.
func (o observer) Operation(ctx context.Context, name, verb string, ids lifecycle.OperationIDs) (context.Context, lifecycle.Operation) {
	attrs := []attribute.KeyValue{attribute.String("berth.provider", name)}
	for key, value := range map[string]string{"session.id": ids.SessionID, "chat.id": ids.ChatID, "container.id": ids.SandboxID} {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	ctx, span := o.tracer.Start(ctx, "berth."+verb, trace.WithAttributes(attrs...))
	return ctx, &operation{observer: o, span: span, provider: name, verb: verb}
}

type operation struct {
	observer
	span           trace.Span
	provider, verb string
	took           time.Duration // of its calls
}

func (op *operation) Call() func() {
	began := time.Now()
	return func() { op.took += time.Since(began) }
}

func (op *operation) Done(result string, err error) {
	if err != nil {
		result = metrics.ResultError
		op.span.RecordError(err)
		op.span.SetStatus(codes.Error, err.Error())
	} else if result == "adopted" {
		result = "created"
	}
	op.metrics.OperationDone(op.provider, op.verb, result, err, op.took)
	op.span.SetAttributes(attribute.String("sandbox.result", result))
	op.span.End()
}
