package sdk_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes spans over OTLP and HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	names []string // of the spans, in the order in which they came
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		m := &collector.ExportTraceServiceRequest{}
		if err != nil || proto.Unmarshal(body, m) != nil {
			t.Errorf("%s: no spans: %v", req.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range m.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					r.names = append(r.names, span.Name)
				}
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) spans() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

// TestServeFlush has spans that wait to be exported when SIGTERM comes, and wants them at
// the receiver when the plugin has ended.
func TestServeFlush(t *testing.T) {
	r := newReceiver(t)
	p := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=3600000") // an hour, in ms: by itself nothing is exported
	if _, err := p.client.Provider().Identity(t.Context()); err != nil {
		t.Fatal(err)
	}
	if early := r.spans(); len(early) > 0 {
		t.Fatalf("exported already: %q", early)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if s := p.ends(t, 4*time.Second); s.ExitCode() != 0 {
		t.Errorf("ended with %v", s)
	}
	got := r.spans()
	slices.Sort(got)
	if want := []string{"berth.provider.v1.Plugin/Configure", "berth.provider.v1.Provider/Identity"}; !slices.Equal(got, want) {
		t.Errorf("spans %q, want %q", got, want)
	}
}
