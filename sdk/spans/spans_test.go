package spans_test

import (
	"errors"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// What a span tells of an operation: its result, or that it has failed, with class, code and
// cause as far as there are.
func TestEnd(t *testing.T) {
	plain := errors.New("it broke")
	for name, c := range map[string]struct {
		err    error
		result string
		status string // of a failed one
		events []map[string]string
	}{
		"done": {nil, "created", "", nil},
		"without a code": {plain, "error", "it broke",
			[]map[string]string{{"error.type": "internal", "exception.message": "it broke"}}},
		"coded": {&provider.Error{Class: provider.Unavailable, Code: "sandbox_stop_failed", Message: "not now"}, "error", "sandbox_stop_failed: not now",
			[]map[string]string{{"error.type": "unavailable", "error.code": "sandbox_stop_failed", "exception.message": "not now"}}},
		"coded, with a cause": {&provider.Error{Class: provider.Unavailable, Code: "sandbox_stop_failed", Message: "not now", Err: plain}, "error", "sandbox_stop_failed: not now: it broke",
			[]map[string]string{
				{"error.cause": "true", "exception.message": "it broke"},
				{"error.type": "unavailable", "error.code": "sandbox_stop_failed", "exception.message": "not now: it broke"},
			}},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			tracer := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test")
			_, span := spans.Start(t.Context(), tracer, "adapter.test.create_sandbox", spans.ChatID.String("a chat"))
			spans.End(span, "created", c.err)
			ended := recorder.Ended()
			if len(ended) != 1 {
				t.Fatalf("%d spans have ended, want 1", len(ended))
			}
			got := ended[0]
			if a := text(got.Attributes()); a["sandbox.result"] != c.result || a["chat.id"] != "a chat" {
				t.Errorf("attributes are %v", a)
			}
			if s := got.Status(); s.Description != c.status || (s.Code == codes.Error) != (c.err != nil) {
				t.Errorf("status is %+v, want %q", s, c.status)
			}
			if len(got.Events()) != len(c.events) {
				t.Fatalf("events are %+v, want %v", got.Events(), c.events)
			}
			for i, e := range got.Events() {
				a := text(e.Attributes)
				delete(a, "exception.type")
				if !maps.Equal(a, c.events[i]) {
					t.Errorf("event %d is %v, want %v", i, a, c.events[i])
				}
			}
		})
	}
}

func text(list []attribute.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}
