package wire

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// tracedPlugin is a plugin whose two ends record spans, each with a tracer of its own.
type tracedPlugin struct {
	*Client
	cc           *grpc.ClientConn
	backend      *mem.Backend
	tracer       oteltrace.Tracer // of the host
	host, plugin *tracetest.SpanRecorder
}

func openTraced(t *testing.T) *tracedPlugin {
	t.Helper()
	p := &tracedPlugin{backend: mem.NewBackend("b"), host: tracetest.NewSpanRecorder(), plugin: tracetest.NewSpanRecorder()}
	tp := trace.NewTracerProvider(trace.WithSpanProcessor(p.host))
	p.tracer = tp.Tracer("test")
	p.cc, _ = dial(t, DialOptions(tp), ServerOptions(trace.NewTracerProvider(trace.WithSpanProcessor(p.plugin))), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(p.backend), slog.New(slog.DiscardHandler))
		healthy := health.NewServer()
		healthy.SetServingStatus("plugin", healthpb.HealthCheckResponse_SERVING)
		healthpb.RegisterHealthServer(s, healthy)
	})
	p.Client = NewClient(p.cc)
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// begun are the names of the spans that a side has begun. Both sides begin theirs before
// the call reaches the provider, so an answered call's are there.
func begun(r *tracetest.SpanRecorder) (names []string) {
	for _, s := range r.Started() {
		names = append(names, s.Name())
	}
	return names
}

// TestTraces wants the plugin's span of a call to be a child of the host's, and that of
// the caller's.
func TestTraces(t *testing.T) {
	p := openTraced(t)
	ctx, root := p.tracer.Start(t.Context(), "root")
	if _, err := p.Provider().Create(ctx, spec(1)); err != nil {
		t.Fatal(err)
	}
	root.End()
	const configure, create = "berth.provider.v1.Plugin/Configure", "berth.provider.v1.Provider/Create"
	if got, want := begun(p.host), []string{configure, "root", create}; !slices.Equal(got, want) {
		t.Fatalf("the host's spans are %q, want %q", got, want)
	}
	if got, want := begun(p.plugin), []string{configure, create}; !slices.Equal(got, want) {
		t.Fatalf("the plugin's spans are %q, want %q", got, want)
	}
	host, plugin := p.host.Started()[2], p.plugin.Started()[1]
	if host.SpanKind() != oteltrace.SpanKindClient || plugin.SpanKind() != oteltrace.SpanKindServer {
		t.Errorf("kinds %s and %s", host.SpanKind(), plugin.SpanKind())
	}
	for _, x := range []struct {
		what          string
		child, parent oteltrace.SpanContext
	}{{"the host's span", host.Parent(), root.SpanContext()}, {"the plugin's span", plugin.Parent(), host.SpanContext()}} {
		if !x.child.IsValid() || x.child.TraceID() != x.parent.TraceID() || x.child.SpanID() != x.parent.SpanID() {
			t.Errorf("%s is a child of %v, want of %v", x.what, x.child, x.parent)
		}
	}
	if plugin.SpanContext().TraceID() != root.SpanContext().TraceID() || !plugin.Parent().IsRemote() {
		t.Errorf("the plugin's span is %v in a trace of its own", plugin.SpanContext())
	}
}

// TestNoTraces wants no spans for the streams that live as long as the process, and for
// what is asked all the time, not even inside a span of the caller.
func TestNoTraces(t *testing.T) {
	p := openTraced(t)
	made := create(t, p.Provider(), 1)
	p.backend.Print(made.Sandbox.ID, "words\n", false)
	ctx, root := p.tracer.Start(t.Context(), "root")
	defer root.End()
	host, plugin := len(p.host.Started()), len(p.plugin.Started())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() {
		over <- p.Provider().(provider.EventSource).Events(ctx, func() { close(ready) }, func(provider.Event) error { return nil })
	}()
	select {
	case <-ready:
	case err := <-over:
		t.Fatal(err)
	}
	read := ""
	if err := p.Provider().(provider.LogReader).Logs(ctx, provider.LogsRequest{ID: made.Sandbox.ID}, func(c provider.LogChunk) error {
		read += string(c.Data)
		return nil
	}); err != nil || read != "words\n" {
		t.Errorf("logs %q, %v", read, err)
	}
	if _, err := p.Provider().Health(ctx); err != nil {
		t.Error(err)
	}
	alive := healthpb.NewHealthClient(p.cc)
	if h, err := alive.Check(ctx, &healthpb.HealthCheckRequest{Service: "plugin"}); err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("liveness %v, %v", h, err)
	}
	watch, err := alive.Watch(ctx, &healthpb.HealthCheckRequest{Service: "plugin"})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := watch.Recv(); err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("liveness %v, %v", h, err)
	}
	cancel()
	if err := <-over; !errors.Is(err, provider.Canceled) {
		t.Error(err)
	}
	if got := begun(p.host)[host:]; len(got) > 0 {
		t.Errorf("the host has spans for %q", got)
	}
	if got := begun(p.plugin)[plugin:]; len(got) > 0 {
		t.Errorf("the plugin has spans for %q", got)
	}
}
