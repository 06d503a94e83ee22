package docker

import (
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/berth-dev/berth/sdk/provider"
)

// The table of spans: names, attributes, results, and the parent in the context.
func TestSpans(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	ctx, parent := trace.NewTracerProvider(trace.WithSpanProcessor(r.spans)).Tracer("test").Start(t.Context(), "parent")
	defer parent.End()
	spec := r.newSpec()
	created, err := r.Create(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	id := created.Sandbox.ID
	if _, err := r.Stop(ctx, provider.StopRequest{ID: id, Fence: fence(spec)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Delete(ctx, provider.DeleteRequest{ID: id, Fence: fence(spec)}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]string{
		spanCreate: {"chat.id": spec.ChatID, "session.id": spec.SessionID, "container.id": id, "sandbox.result": "created"},
		spanStop:   {"chat.id": spec.ChatID, "session.id": spec.SessionID, "container.id": id, "sandbox.result": "stopped"},
		spanDelete: {"container.id": id, "sandbox.result": "deleted"},
	} {
		span := r.span(name)
		if got := attributes(span.Attributes()); !maps.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
		if span.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("%s is no child of the caller's span", name)
		}
		if span.Status().Code == codes.Error || len(span.Events()) != 0 {
			t.Errorf("%s is failed: %+v", name, span.Status())
		}
	}
}

// not_found is no error: not in the span, not in the answer.
func TestSpansNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	stopped, err := r.Stop(t.Context(), provider.StopRequest{ID: id})
	if err != nil || stopped.Outcome != provider.OutcomeNotFound || stopped.Exit != nil {
		t.Errorf("stop: %+v, %v", stopped, err)
	}
	deleted, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id})
	if err != nil || deleted.Outcome != provider.OutcomeNotFound {
		t.Errorf("delete: %+v, %v", deleted, err)
	}
	for _, name := range []string{spanStop, spanDelete} {
		span := r.span(name)
		want := map[string]string{"container.id": id, "sandbox.result": "not_found"}
		if got := attributes(span.Attributes()); !maps.Equal(got, want) || span.Status().Code == codes.Error {
			t.Errorf("%s has %v, %v", name, got, span.Status())
		}
	}
}

// Whatever fails, its span records the coded error and its cause, and the log and the error
// that the caller gets have the code too.
func TestSpansFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(func(s *provider.Spec) { s.Network = "berth-no-such-network" })
	_, err := r.Create(t.Context(), spec)
	wantFailure(t, err, provider.NotFound, codeStart, spec.ChatID)
	r.wantFailedLog("create failed", codeStart, "chat_id", spec.ChatID)
	span := r.span(spanCreate)
	wantFailedSpan(t, span, codeStart, "network berth-no-such-network not found")
	got := attributes(span.Attributes())
	if got["chat.id"] != spec.ChatID || got["session.id"] != spec.SessionID || got["container.id"] == "" {
		t.Errorf("attributes are %v", got)
	}

	ok := r.create(r.newSpec())
	other := provider.Fence{Owner: "other", SessionID: ok.Sandbox.SessionID}
	_, err = r.Stop(t.Context(), provider.StopRequest{ID: ok.Sandbox.ID, Fence: other})
	wantFailure(t, err, provider.Conflict, codeStop)
	r.wantFailedLog("stop failed", codeStop, "container_id", ok.Sandbox.ID)
	wantFailedSpan(t, r.span(spanStop), codeStop, "it belongs to owner")
	_, err = r.Delete(t.Context(), provider.DeleteRequest{ID: ok.Sandbox.ID, Fence: other})
	wantFailure(t, err, provider.Conflict, codeStop)
	r.wantFailedLog("delete failed", codeStop, "container_id", ok.Sandbox.ID)
	wantFailedSpan(t, r.span(spanDelete), codeStop, "it belongs to owner")
}

// wantFailedSpan checks that a span is failed with the code, and records the cause.
func wantFailedSpan(t *testing.T, span trace.ReadOnlySpan, code, cause string) {
	t.Helper()
	if got := attributes(span.Attributes())["sandbox.result"]; got != "error" {
		t.Errorf("sandbox.result is %q", got)
	}
	if s := span.Status(); s.Code != codes.Error || !strings.HasPrefix(s.Description, code+": ") {
		t.Errorf("status is %+v, want %s", s, code)
	}
	var coded, caused bool
	for _, e := range span.Events() {
		a := attributes(e.Attributes)
		coded = coded || e.Name == "exception" && a["error.code"] == code && a["error.type"] != ""
		caused = caused || e.Name == "exception" && a["error.cause"] == "true" && strings.Contains(a["exception.message"], cause)
	}
	if !coded || !caused {
		t.Errorf("the span does not record the coded error (%v) and its cause %q (%v): %+v", coded, cause, caused, span.Events())
	}
}
