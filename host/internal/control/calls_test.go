package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// TestCallerLeaves wants the context of a create to end when its caller leaves.
func TestCallerLeaves(t *testing.T) {
	w := start(t)
	began, over := make(chan struct{}), make(chan error, 1)
	w.host.create = func(ctx context.Context, _ api.CreateRequest) (api.Session, error) {
		began <- struct{}{}
		<-ctx.Done()
		over <- ctx.Err()
		return api.Session{}, errors.New("nobody hears this") // internal, were somebody there
	}
	for protocol, call := range w.callers(t) {
		if protocol == "json" {
			continue // reports the client's error; below
		}
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan *answerError, 1)
		go func() {
			answered <- call(ctx, sessionService+"CreateSession", &controlv1.CreateSessionRequest{}, &controlv1.CreateSessionResponse{})
		}()
		receive(t, began, "create by "+protocol)
		leave()
		if err := receive(t, over, "end of the create by "+protocol); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", protocol, err)
		}
		if bad := receive(t, answered, "answer"); bad == nil || bad.Code != "canceled" {
			t.Errorf("%s: %+v", protocol, bad)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://berth/"+sessionService+"CreateSession", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		_, err := w.http.Do(req)
		answered <- err
	}()
	receive(t, began, "create by HTTP/1.1")
	leave()
	receive(t, over, "end of the create by HTTP/1.1")
	if err := receive(t, answered, "answer"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.stop()
	if s := w.log.String(); s != "" {
		t.Errorf("logged %s", s)
	}
}

// TestPanic wants a verb's panic answered and logged with its stack, and the host to go on.
func TestPanic(t *testing.T) {
	w := start(t)
	for protocol, call := range w.callers(t) {
		bad := call(t.Context(), sessionService+"GetSession", &controlv1.GetSessionRequest{}, &controlv1.GetSessionResponse{}) // get is nil
		if bad == nil || bad.Code != "internal" || !strings.HasPrefix(bad.Message, "get: the host has a fault") || bad.Detail.GetCode() != "internal" {
			t.Errorf("%s: %+v", protocol, bad)
		}
	}
	next := w.openers(t)["grpc"].watch(t.Context())
	if _, bad := next(); bad == nil || bad.Code != "internal" || bad.Detail.GetCode() != "internal" {
		t.Errorf("watch: %+v", bad)
	}
	if s := w.log.String(); !strings.Contains(s, "a call panicked") || !strings.Contains(s, "world_test.go") || strings.Contains(s, "the host has a fault") {
		t.Errorf("logged %s", s)
	}
}

// TestUnexpectedError wants an error without a code answered as internal, and logged.
func TestUnexpectedError(t *testing.T) {
	w := start(t)
	w.host.get = func(context.Context, string) (api.Session, error) { return api.Session{}, errors.New("odd") }
	_, text := w.post(t, t.Context(), sessionService+"GetSession", "{}")
	if bad := jsonError(t, text); bad.Code != "internal" || bad.Message != "odd" || bad.Detail.GetCode() != "internal" {
		t.Errorf("%+v", bad)
	}
	if s := w.log.String(); !strings.Contains(s, "odd") || !strings.Contains(s, "verb=get") {
		t.Errorf("logged %q", s)
	}
}

// TestDeadline wants the caller's deadline in the host.
func TestDeadline(t *testing.T) {
	w := start(t)
	w.host.get = func(ctx context.Context, _ string) (api.Session, error) {
		<-ctx.Done()
		return api.Session{}, ctx.Err()
	}
	req, _ := http.NewRequest(http.MethodPost, "http://berth/"+sessionService+"GetSession", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Connect-Timeout-Ms", "1")
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%d", resp.StatusCode)
	}
}

// TestAfterClose wants calls refused in words, in every protocol, and those that were
// under way answered.
func TestAfterClose(t *testing.T) {
	w := start(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	w.host.get = func(context.Context, string) (api.Session, error) {
		close(began)
		<-goOn
		return running(), nil
	}
	callers := w.callers(t)
	answered := make(chan *answerError, 1)
	go func() {
		answered <- callers["grpc"](t.Context(), sessionService+"GetSession", &controlv1.GetSessionRequest{}, &controlv1.GetSessionResponse{})
	}()
	receive(t, began, "get")
	w.server.Close()
	for protocol, call := range callers {
		bad := call(t.Context(), sessionService+"GetSession", &controlv1.GetSessionRequest{}, &controlv1.GetSessionResponse{})
		if bad == nil || bad.Code != "unavailable" || bad.Message != "get: the host is stopping" || bad.Detail.GetCode() != "unavailable" {
			t.Errorf("%s: %+v", protocol, bad)
		}
	}
	close(goOn)
	if bad := receive(t, answered, "answer"); bad != nil {
		t.Errorf("the call that was under way: %+v", bad)
	}
}

// TestTrace wants the caller's trace to go on in the host.
func TestTrace(t *testing.T) {
	w := start(t)
	seen := make(chan trace.SpanContext, 1)
	w.host.get = func(ctx context.Context, _ string) (api.Session, error) {
		seen <- trace.SpanContextFromContext(ctx)
		return running(), nil
	}
	req, _ := http.NewRequest(http.MethodPost, "http://berth/"+sessionService+"GetSession", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if s := receive(t, seen, "call"); s.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || s.SpanID().String() != "b7ad6b7169203331" || !s.IsRemote() || !s.IsSampled() {
		t.Errorf("%+v", s)
	}
}

// TestLongErrorInGRPC wants what does not fit into many clients' trailers made to fit, in
// gRPC alone.
func TestLongErrorInGRPC(t *testing.T) {
	w := start(t)
	session := running()
	session.Metadata = map[string]string{"k": strings.Repeat("v", 16<<10)}
	failure := &api.Error{Code: api.CodeSandboxStartFailed, Op: "create", SessionID: sessionID, Session: &session,
		Message: "first" + strings.Repeat("é", 16<<10) + "last"}
	w.host.get = func(context.Context, string) (api.Session, error) { return session, failure }
	for protocol, call := range w.callers(t) {
		bad := call(t.Context(), sessionService+"GetSession", &controlv1.GetSessionRequest{}, &controlv1.GetSessionResponse{})
		if bad == nil || bad.Detail.GetCode() != "sandbox_start_failed" || bad.Detail.GetSessionId() != sessionID {
			t.Fatalf("%s: %+v", protocol, bad)
		}
		if protocol == "json" || protocol == "connect" || protocol == "connect gzip" {
			if bad.Message != failure.Error() || bad.Detail.GetSession() == nil {
				t.Errorf("%s: %d bytes, %v", protocol, len(bad.Message), bad.Detail.GetSession())
			}
		} else if len(bad.Message) > 2100 || !strings.HasPrefix(bad.Message, "create: first") || !strings.HasSuffix(bad.Message, "last") || bad.Detail.GetSession() != nil {
			t.Errorf("%s: %d bytes, %v", protocol, len(bad.Message), bad.Detail.GetSession())
		}
	}
}

// TestHealthAndReflection calls both with gRPC's own clients.
func TestHealthAndReflection(t *testing.T) {
	w := start(t)
	cc, err := grpc.NewClient("unix:"+w.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	health := healthpb.NewHealthClient(cc)
	for _, service := range []string{"", "berth.control.v1.SessionService", "berth.control.v1.ProviderService"} {
		if r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, r, err)
		}
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nope"}); grpcError(err).Code != "not_found" {
		t.Error(err)
	}
	if _, text := w.do(t, "POST", "/grpc.health.v1.Health/Check", "application/json", "{}"); !strings.Contains(text, "SERVING") {
		t.Errorf("in JSON: %s", text)
	}

	v1, err := reflectionpb.NewServerReflectionClient(cc).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []*reflectionpb.ServerReflectionRequest{
		{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}},
		{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "berth.control.v1.SessionService"}},
		{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "berth.control.v1.Error"}},
	} {
		if err := v1.Send(ask); err != nil {
			t.Fatal(err)
		}
		answer, err := v1.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(answer.String(), "SessionService") {
			t.Errorf("%v answers %.200v", ask, answer)
		}
	}
	v1.CloseSend()
	v1.Recv()
	alpha, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	answer := &reflectionpb.ServerReflectionResponse{} // the two versions are the same on the wire
	err = alpha.SendMsg(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if err := errors.Join(err, alpha.CloseSend(), alpha.RecvMsg(answer)); err != nil || !strings.Contains(answer.String(), "berth.control.v1.ProviderService") {
		t.Errorf("%v, %v", answer, err)
	}
	if err := alpha.RecvMsg(answer); err != io.EOF {
		t.Errorf("the end is %v", err)
	}

	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", r, err)
	}
	w.server.Close()
	if _, err := watch.Recv(); grpcError(err).Code != "unavailable" {
		t.Errorf("after Close the watch has %v", err)
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); grpcError(err).Code != "unavailable" {
		t.Errorf("after Close: %v", err)
	}
}
