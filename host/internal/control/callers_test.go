package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// answerError is an error as a client of any protocol sees it.
type answerError struct {
	Code    string // of the protocol, in snake case
	Message string
	Detail  *controlv1.Error
}

// caller calls a unary method: path is without the first slash.
type caller func(ctx context.Context, path string, req, resp proto.Message) *answerError

const sessionService = "berth.control.v1.SessionService/"

// callers are the ways to call.
func (w *world) callers(t *testing.T) map[string]caller {
	t.Helper()
	cc, err := grpc.NewClient("unix:"+w.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return map[string]caller{
		"json": w.json(t),
		"grpc": func(ctx context.Context, path string, req, resp proto.Message) *answerError {
			return grpcError(cc.Invoke(ctx, "/"+path, req, resp))
		},
		"connect grpc":     w.connect(t, connect.WithGRPC()),
		"connect grpc-web": w.connect(t, connect.WithGRPCWeb()),
		"connect":          w.connect(t),
		"connect gzip":     w.connect(t, connect.WithSendGzip()),
	}
}

func (w *world) json(t *testing.T) caller {
	return func(ctx context.Context, path string, req, resp proto.Message) *answerError {
		body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		status, text := w.post(t, ctx, path, string(body))
		if status == http.StatusOK {
			if err := (protojson.UnmarshalOptions{}).Unmarshal([]byte(text), resp); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return nil
		}
		return jsonError(t, text)
	}
}

// post posts JSON as curl does.
func (w *world) post(t *testing.T, ctx context.Context, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://berth/"+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func jsonError(t *testing.T, text string) *answerError {
	t.Helper()
	var wire struct {
		Code, Message string
		Details       []struct{ Type, Value string }
	}
	if err := json.Unmarshal([]byte(text), &wire); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	e := &answerError{Code: wire.Code, Message: wire.Message}
	for _, d := range wire.Details {
		raw, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil || d.Type != "berth.control.v1.Error" {
			t.Fatalf("detail %v: %v", d, err)
		}
		e.Detail = &controlv1.Error{}
		if err := proto.Unmarshal(raw, e.Detail); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func grpcError(err error) *answerError {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	e := &answerError{Code: connect.Code(s.Code()).String(), Message: s.Message()}
	for _, d := range s.Details() {
		if m, ok := d.(*controlv1.Error); ok {
			e.Detail = m
		}
	}
	return e
}

// connect calls by Connect's client, whose messages are dynamic: one client for all.
func (w *world) connect(t *testing.T, options ...connect.ClientOption) caller {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: w.dial, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return func(ctx context.Context, path string, req, resp proto.Message) *answerError {
		c := connect.NewClient[raw, raw](client, "http://berth/"+path, append(options, connect.WithCodec(rawCodec{}))...)
		body, err := proto.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.CallUnary(ctx, connect.NewRequest(&raw{body}))
		if err != nil {
			return connectError(err)
		}
		if err := proto.Unmarshal(out.Msg.data, resp); err != nil {
			t.Fatal(err)
		}
		return nil
	}
}

func connectError(err error) *answerError {
	var wire *connect.Error
	if !errors.As(err, &wire) {
		return &answerError{Code: "unknown", Message: err.Error()}
	}
	e := &answerError{Code: wire.Code().String(), Message: wire.Message()}
	for _, d := range wire.Details() {
		if m, err := d.Value(); err == nil {
			e.Detail, _ = m.(*controlv1.Error)
		}
	}
	return e
}

// raw is a message as bytes.
type raw struct{ data []byte }

type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(m any) ([]byte, error) {
	if m, ok := m.(proto.Message); ok { // of the protocol itself
		return proto.Marshal(m)
	}
	return m.(*raw).data, nil
}

func (rawCodec) Unmarshal(data []byte, m any) error {
	if m, ok := m.(proto.Message); ok {
		return proto.Unmarshal(data, m)
	}
	m.(*raw).data = bytes.Clone(data)
	return nil
}
