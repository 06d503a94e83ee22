package control

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// stream is a server stream in any protocol: it yields messages, and nil at the end.
type stream func() (proto.Message, *answerError)

// opener opens one of the host's streams.
type opener struct {
	watch func(context.Context) stream
	logs  func(context.Context, *controlv1.GetLogsRequest) stream
}

func (w *world) openers(t *testing.T) map[string]opener {
	t.Helper()
	cc, err := grpc.NewClient("unix:"+w.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	plain := func(method string, answer func() proto.Message) func(context.Context, proto.Message) stream {
		return func(ctx context.Context, req proto.Message) stream {
			s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+sessionService+method)
			if err == nil {
				err = errors.Join(s.SendMsg(req), s.CloseSend())
			}
			return func() (proto.Message, *answerError) {
				if err != nil {
					return nil, grpcError(err)
				}
				m := answer()
				if err := s.RecvMsg(m); err == io.EOF {
					return nil, nil
				} else if err != nil {
					return nil, grpcError(err)
				}
				return m, nil
			}
		}
	}
	watch := plain("WatchSessions", func() proto.Message { return &controlv1.WatchSessionsResponse{} })
	logs := plain("GetLogs", func() proto.Message { return &controlv1.GetLogsResponse{} })
	return map[string]opener{
		"grpc": {
			watch: func(ctx context.Context) stream { return watch(ctx, &controlv1.WatchSessionsRequest{}) },
			logs:  func(ctx context.Context, r *controlv1.GetLogsRequest) stream { return logs(ctx, r) },
		},
		"connect http/1.1": w.connectStreams(w.http, connect.WithProtoJSON()),
		"connect json":     w.connectStreams(w.h2(t), connect.WithProtoJSON()),
		"connect grpc":     w.connectStreams(w.h2(t), connect.WithGRPC()),
		"connect grpc-web": w.connectStreams(w.h2(t), connect.WithGRPCWeb()),
	}
}

func (w *world) h2(t *testing.T) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: w.dial, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (w *world) connectStreams(client *http.Client, options ...connect.ClientOption) opener {
	c := controlv1connect.NewSessionServiceClient(client, "http://berth", options...)
	return opener{
		watch: func(ctx context.Context) stream {
			s, err := c.WatchSessions(ctx, connect.NewRequest(&controlv1.WatchSessionsRequest{}))
			return received(s, err)
		},
		logs: func(ctx context.Context, r *controlv1.GetLogsRequest) stream {
			s, err := c.GetLogs(ctx, connect.NewRequest(r))
			return received(s, err)
		},
	}
}

func received[M any](s *connect.ServerStreamForClient[M], err error) stream {
	return func() (proto.Message, *answerError) {
		switch {
		case err != nil:
			return nil, connectError(err)
		case s.Receive():
			return any(s.Msg()).(proto.Message), nil
		case s.Err() != nil:
			return nil, connectError(s.Err())
		}
		s.Close()
		return nil, nil
	}
}

// yielded is a host's watch: these events, and then it waits for ctx.
func yielded(events ...api.Event) func(context.Context) iter.Seq[api.Event] {
	return func(ctx context.Context) iter.Seq[api.Event] {
		return func(yield func(api.Event) bool) {
			for _, ev := range events {
				if !yield(ev) {
					return
				}
			}
			<-ctx.Done()
		}
	}
}

// TestWatch wants every event in order; resync is the last one.
func TestWatch(t *testing.T) {
	w := start(t)
	events := []api.Event{
		{Seq: 4, Type: api.EventSnapshot, Session: running()},
		{Seq: 4, Type: api.EventSynced},
		{Seq: 5, Type: api.EventProgress, Progress: &api.Progress{Provider: "docker", Image: "i", Message: "1%"}},
		{Seq: 6, Type: api.EventChanged, Session: running()},
		{Seq: 7, Type: api.EventPruned, Session: running()},
		{Type: api.EventResync},
	}
	w.host.watch = yielded(append(events, api.Event{Seq: 9, Type: api.EventChanged})...)
	for protocol, o := range w.openers(t) {
		next := o.watch(t.Context())
		for _, ev := range events {
			got, bad := next()
			if bad != nil || !proto.Equal(got, convert.EventToProto(ev)) {
				t.Fatalf("%s: %v, %+v, want %+v", protocol, got, bad, ev)
			}
		}
		if got, bad := next(); got != nil || bad != nil {
			t.Errorf("%s: after resync %v, %+v", protocol, got, bad)
		}
	}
}

// TestWatcherLeaves wants the host's watch to end when its caller leaves, and no word of
// it in the log.
func TestWatcherLeaves(t *testing.T) {
	w := start(t)
	over := make(chan struct{}, 1)
	w.host.watch = func(ctx context.Context) iter.Seq[api.Event] {
		return func(yield func(api.Event) bool) {
			yield(api.Event{Type: api.EventSynced})
			<-ctx.Done()
			over <- struct{}{}
		}
	}
	for protocol, o := range w.openers(t) {
		ctx, leave := context.WithCancel(t.Context())
		next := o.watch(ctx)
		if got, bad := next(); bad != nil {
			t.Fatalf("%s: %v, %+v", protocol, got, bad)
		}
		leave()
		receive(t, over, "end of the watch by "+protocol)
		if _, bad := next(); bad == nil || bad.Code != "canceled" {
			t.Errorf("%s: %+v", protocol, bad)
		}
	}
	w.stop()
	if s := w.log.String(); s != "" {
		t.Errorf("logged %s", s)
	}
}

// TestCloseEndsStreams wants streams told that the host is stopping, and serving over
// when they are.
func TestCloseEndsStreams(t *testing.T) {
	for _, protocol := range []string{"grpc", "connect http/1.1", "connect json", "connect grpc", "connect grpc-web"} {
		w := start(t)
		w.host.watch = yielded(api.Event{Type: api.EventSynced})
		w.host.logs = func(ctx context.Context, _ string, _ api.LogsRequest, yield func(api.LogChunk) error) error {
			if err := yield(api.LogChunk{Data: []byte("x")}); err != nil {
				return err
			}
			<-ctx.Done()
			return &api.Error{Code: api.CodeUnavailable, Message: "canceled"}
		}
		o := w.openers(t)[protocol]
		streams := map[string]stream{"watch": o.watch(t.Context()), "logs": o.logs(t.Context(), &controlv1.GetLogsRequest{})}
		for op, next := range streams {
			if _, bad := next(); bad != nil {
				t.Fatalf("%s by %s: %+v", op, protocol, bad)
			}
		}
		w.server.Close()
		for op, next := range streams {
			if _, bad := next(); bad == nil || bad.Code != "unavailable" || bad.Message != op+": the host is stopping" || bad.Detail.GetCode() != "unavailable" {
				t.Errorf("%s by %s ends with %+v", op, protocol, bad)
			}
		}
		w.stop()
	}
}

// TestWatchOfAStoppedEngine wants words when the engine ends before the API does.
func TestWatchOfAStoppedEngine(t *testing.T) {
	w := start(t)
	w.host.watch = func(context.Context) iter.Seq[api.Event] { return func(func(api.Event) bool) {} }
	next := w.openers(t)["grpc"].watch(t.Context())
	if _, bad := next(); bad == nil || bad.Code != "unavailable" {
		t.Errorf("%+v", bad)
	}
}

// TestLogs wants the request passed on and the output in order, and errors as of any verb.
func TestLogs(t *testing.T) {
	w := start(t)
	asked := make(chan api.LogsRequest, 1)
	failure := error(nil)
	w.host.logs = func(_ context.Context, id string, r api.LogsRequest, yield func(api.LogChunk) error) error {
		asked <- r
		for _, c := range []api.LogChunk{{Data: []byte(id + "\n")}, {Stderr: true, Data: []byte{0, 0xff}}, {Data: []byte(strings.Repeat("x", 64<<10))}} {
			if err := yield(c); err != nil {
				return err
			}
		}
		return failure
	}
	for protocol, o := range w.openers(t) {
		for _, failure = range []error{nil, &api.Error{Code: api.CodeUnsupported, Op: "logs", SessionID: sessionID, Message: "none here"}} {
			next := o.logs(t.Context(), &controlv1.GetLogsRequest{SessionId: sessionID, Tail: 5, Follow: true})
			for _, want := range []*controlv1.GetLogsResponse{{Data: []byte(sessionID + "\n")}, {Stderr: true, Data: []byte{0, 0xff}}, {Data: []byte(strings.Repeat("x", 64<<10))}} {
				if got, bad := next(); bad != nil || !proto.Equal(got, want) {
					t.Fatalf("%s: %.100v, %+v", protocol, got, bad)
				}
			}
			if r := <-asked; r != (api.LogsRequest{Tail: 5, Follow: true}) {
				t.Errorf("%s asks %+v", protocol, r)
			}
			_, bad := next()
			if failure == nil {
				if bad != nil {
					t.Errorf("%s: %+v", protocol, bad)
				}
			} else if bad == nil || bad.Code != "unimplemented" || bad.Message != "logs: none here" || bad.Detail.GetSessionId() != sessionID {
				t.Errorf("%s: %+v", protocol, bad)
			}
		}
	}
}

// TestBadStreamRequest wants what can't be read refused in streams too.
func TestBadStreamRequest(t *testing.T) {
	w := start(t)
	for _, body := range []string{`{"nope":1}`, `{"tail":"x"}`} {
		framed := string([]byte{0, 0, 0, 0, byte(len(body))}) + body
		_, text := w.do(t, "POST", "/"+sessionService+"GetLogs", "application/connect+json", framed)
		if !strings.Contains(text, `"code":"invalid_argument"`) || !strings.Contains(text, "logs: ") || !strings.Contains(text, "berth.control.v1.Error") {
			t.Errorf("%s: %q", body, text)
		}
	}
	large := make([]byte, 2*maxBody)
	large[1] = 0x10
	_, text := w.do(t, "POST", "/"+sessionService+"GetLogs", "application/connect+json", string(large))
	if !strings.Contains(text, "logs: the body is over the limit of 1048576 bytes") || !strings.Contains(text, "invalid_argument") {
		t.Errorf("%.300q", text)
	}
}

// TestLogsErrors has logs fail with each code in each protocol.
func TestLogsErrors(t *testing.T) {
	w := start(t)
	for protocol, o := range w.openers(t) {
		for code, want := range protocolCodes {
			w.host.logs = func(context.Context, string, api.LogsRequest, func(api.LogChunk) error) error {
				return &api.Error{Code: code, Op: "logs", ChatID: chatID, SessionID: sessionID, Message: "no way"}
			}
			_, bad := o.logs(t.Context(), &controlv1.GetLogsRequest{SessionId: sessionID})()
			if bad == nil || bad.Code != want || bad.Message != "logs: no way" ||
				!proto.Equal(bad.Detail, &controlv1.Error{Code: string(code), ChatId: chatID, SessionId: sessionID}) {
				t.Errorf("%s by %s: %+v", code, protocol, bad)
			}
		}
	}
}

// TestProvidersErrors wants ListProviders to refuse what it can't read, and to say when
// the host stops.
func TestProvidersErrors(t *testing.T) {
	w := start(t)
	const path = "berth.control.v1.ProviderService/ListProviders"
	if status, text := w.post(t, t.Context(), path, `{"name":"docker"}`); status != http.StatusBadRequest || jsonError(t, text).Message != "providers: name: is no field of ListProvidersRequest, which has none" {
		t.Errorf("%d %s", status, text)
	}
	calls := w.callers(t)
	w.server.Close()
	for protocol, call := range calls {
		bad := call(t.Context(), path, &controlv1.ListProvidersRequest{}, &controlv1.ListProvidersResponse{})
		if bad == nil || bad.Code != "unavailable" || bad.Message != "providers: the host is stopping" || bad.Detail.GetCode() != "unavailable" {
			t.Errorf("by %s: %+v", protocol, bad)
		}
	}
}
