package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// span is one span as it was received.
type span struct {
	service            string
	trace, id, parent  string
	name               string
	attrs              map[string]string
	events             []event
	failed             bool
	status             string
	beginNano, endNano uint64
}

// event is an event of a span: a recorded error, for the most part.
type event struct {
	name  string
	attrs map[string]string
}

// spans is an OTLP receiver, over gRPC, as an operator would run one.
type spans struct {
	collector.UnimplementedTraceServiceServer
	address string

	mu  sync.Mutex
	all []span
}

// collect starts a receiver that ends with the test.
func collect(t *testing.T) *spans {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &spans{address: l.Addr().String()}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// env makes a host, and the plugins of it, export to this receiver.
func (s *spans) env() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.address, "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_BSP_SCHEDULE_DELAY=200"}
}

// Export takes spans.
func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		service := attrsOf(r.GetResource().GetAttributes())["service.name"]
		for _, scope := range r.GetScopeSpans() {
			for _, sp := range scope.GetSpans() {
				s.all = append(s.all, spanOf(service, sp))
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func spanOf(service string, sp *trace.Span) span {
	out := span{
		service: service, trace: hex.EncodeToString(sp.GetTraceId()), id: hex.EncodeToString(sp.GetSpanId()),
		parent: hex.EncodeToString(sp.GetParentSpanId()), name: sp.GetName(), attrs: attrsOf(sp.GetAttributes()),
		failed: sp.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR, status: sp.GetStatus().GetMessage(),
		beginNano: sp.GetStartTimeUnixNano(), endNano: sp.GetEndTimeUnixNano(),
	}
	for _, ev := range sp.GetEvents() {
		out.events = append(out.events, event{ev.GetName(), attrsOf(ev.GetAttributes())})
	}
	return out
}

func attrsOf(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.GetKey()] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			m[kv.GetKey()] = fmt.Sprint(v.BoolValue)
		}
	}
	return m
}

// received is a copy of what has come so far.
func (s *spans) received() []span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]span(nil), s.all...)
}

// find returns the spans of that name that have all of the attributes.
func find(list []span, name string, attrs ...string) []span {
	var found []span
	for _, sp := range list {
		ok := sp.name == name
		for i := 0; i < len(attrs); i += 2 {
			ok = ok && sp.attrs[attrs[i]] == attrs[i+1]
		}
		if ok {
			found = append(found, sp)
		}
	}
	return found
}

// below reports whether child is a descendant of parent, in one trace.
func below(list []span, child, parent span) bool {
	for range list {
		if child.trace != parent.trace || child.parent == "" {
			return false
		}
		if child.parent == parent.id {
			return true
		}
		for _, sp := range list {
			if sp.trace == child.trace && sp.id == child.parent {
				child.parent = sp.parent
				break
			}
		}
	}
	return false
}
