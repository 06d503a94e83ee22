package otlp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/sdk/otlp"
)

// variables are all that matter here; each test begins without them.
var variables = []string{
	"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
	"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
	"OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_INSECURE",
}

func environ(t *testing.T, set map[string]string) {
	t.Helper()
	for _, v := range variables {
		t.Setenv(v, set[v])
	}
}

func TestOff(t *testing.T) {
	for what, set := range map[string]map[string]string{
		"nothing set": {},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		"none":        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run(what, func(t *testing.T) {
			environ(t, set)
			tp, shutdown, err := otlp.TracerProvider(t.Context(), "name", "1")
			if err != nil {
				t.Fatal(err)
			}
			_, span := tp.Tracer("t").Start(t.Context(), "span")
			if span.IsRecording() {
				t.Error("it records")
			}
			span.End()
			if err := shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadVariables(t *testing.T) {
	for words, set := range map[string]map[string]string{
		`OTEL_EXPORTER_OTLP_PROTOCOL is "http/json"; give grpc or http/protobuf`: {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
		`OTEL_TRACES_EXPORTER is "zipkin"; give otlp or none`:                    {"OTEL_TRACES_EXPORTER": "zipkin"},
	} {
		set["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
		environ(t, set)
		if _, _, err := otlp.TracerProvider(t.Context(), "name", "1"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
}

// TestHTTP has a span arrive at a collector when the provider is shut down.
func TestHTTP(t *testing.T) {
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		m := &collector.ExportTraceServiceRequest{}
		if err != nil || proto.Unmarshal(body, m) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		got <- m
	}))
	defer server.Close()
	environ(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"})
	tp, shutdown, err := otlp.TracerProvider(t.Context(), "berth-x", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tp.Tracer("t").Start(t.Context(), "span")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-got:
		text := m.String()
		for _, want := range []string{"berth-x", "1.2.3", "deployment.environment", `"span"`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in %s", want, text)
			}
		}
	default:
		t.Error("nothing was exported")
	}
}
