package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// full sets every field of a value, each to another, so that one that is forgotten in a
// conversion, or taken for another, shows.
func full[T any]() (v T) {
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, *n, 123456000, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{fmt.Sprint("k", *n): fmt.Sprint("v", *n)}))
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n))
	default:
		panic(v.Kind())
	}
}

// TestThereAndBack wants nothing lost, over the wire and as JSON.
func TestThereAndBack(t *testing.T) {
	for _, typ := range []api.EventType{api.EventSnapshot, api.EventChanged, api.EventPruned} {
		event := full[api.Event]()
		event.Type = typ
		there(t, event, EventToProto, EventFromProto)
	}
	session := full[api.Session]()
	chunk := full[api.LogChunk]()
	there(t, session, SessionToProto, SessionFromProto)
	there(t, api.Session{}, SessionToProto, SessionFromProto)
	there(t, api.Event{Seq: 3, Type: api.EventSynced}, EventToProto, EventFromProto)
	there(t, full[Provider](), ProviderToProto, ProviderFromProto)
	there(t, Provider{}, ProviderToProto, ProviderFromProto)
	there(t, chunk, LogChunkToProto, LogChunkFromProto)
}

func there[A any, M proto.Message](t *testing.T, a A, to func(A) M, from func(M) A) {
	t.Helper()
	m := to(a)
	binary, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	back, again := m.ProtoReflect().New().Interface().(M), m.ProtoReflect().New().Interface().(M)
	if err := errors.Join(proto.Unmarshal(binary, back), Unmarshal(text, again)); err != nil {
		t.Fatal(err)
	}
	if got := from(back); !reflect.DeepEqual(got, a) {
		t.Errorf("there and back gives\n%+v, want\n%+v", got, a)
	}
	if !proto.Equal(again, m) {
		t.Errorf("%s gives\n%v, want\n%v", text, again, m)
	}
}

// TestEventWithoutSession wants no empty session where there is none.
func TestEventWithoutSession(t *testing.T) {
	for _, typ := range []api.EventType{api.EventSynced, api.EventProgress, api.EventResync} {
		if m := EventToProto(api.Event{Type: typ}); m.Session != nil {
			t.Errorf("%s: %v", typ, m)
		}
	}
}

// TestForeignText wants what a sandbox printed to fit on the wire.
func TestForeignText(t *testing.T) {
	m := SessionToProto(api.Session{Ended: &api.End{Message: "a\xffb"}})
	if _, err := proto.Marshal(m); err != nil || m.Ended.Message != "a\uFFFDb" {
		t.Errorf("%q, %v", m.Ended.Message, err)
	}
}

// TestErrorThereAndBack wants text, code, ids and session on the other side.
func TestErrorThereAndBack(t *testing.T) {
	want := full[api.Session]()
	for _, code := range []api.Code{api.CodeSandboxStartFailed, api.CodeSandboxStopFailed, api.CodeSandboxListFailed, api.CodeNotFound, api.CodeConflict,
		api.CodeResourceExhausted, api.CodeUnavailable, api.CodeInvalidArgument, api.CodeUnsupported, api.CodeInternal} {
		e := &api.Error{Code: code, Op: "create", ChatID: "c", SessionID: "s", Message: "m", Session: &want, Err: errors.New("cause")}
		var got *api.Error
		if err := ErrorFromConnect(ErrorToConnect(e)); !errors.As(err, &got) || !errors.Is(err, code) || got.Error() != e.Error() ||
			got.ChatID != "c" || got.SessionID != "s" || !reflect.DeepEqual(got.Session, &want) {
			t.Errorf("%s: %+v", code, got)
		}
	}
	if err := ErrorFromConnect(nil); err != nil {
		t.Error(err)
	}
}

// TestForeignErrors wants a code for what no host has said, and its cause kept.
func TestForeignErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code api.Code
		is   error
	}{
		{connect.NewError(connect.CodeUnavailable, fs.ErrNotExist), api.CodeUnavailable, fs.ErrNotExist},
		{connect.NewError(connect.CodeCanceled, context.Canceled), api.CodeUnavailable, context.Canceled},
		{connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded), api.CodeUnavailable, context.DeadlineExceeded},
		{connect.NewError(connect.CodeUnimplemented, nil), api.CodeUnsupported, nil},
		{connect.NewError(connect.CodeInvalidArgument, nil), api.CodeInvalidArgument, nil},
		{connect.NewError(connect.CodeNotFound, nil), api.CodeNotFound, nil},
		{connect.NewError(connect.CodeFailedPrecondition, nil), api.CodeConflict, nil},
		{connect.NewError(connect.CodeResourceExhausted, nil), api.CodeResourceExhausted, nil},
		{connect.NewError(connect.CodeDataLoss, nil), api.CodeInternal, nil},
		{fs.ErrClosed, api.CodeInternal, fs.ErrClosed},
	} {
		got := ErrorFromConnect(c.err)
		if !errors.Is(got, c.code) || c.is != nil && !errors.Is(got, c.is) || got.Error() == "" {
			t.Errorf("%v gives %v", c.err, got)
		}
	}
	for _, c := range []struct {
		err  error
		want connect.Code
	}{{context.Canceled, connect.CodeCanceled}, {fmt.Errorf("x: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded}, {errors.New("odd"), connect.CodeInternal}} {
		if got := ErrorToConnect(c.err); got.Code() != c.want || got.Message() != c.err.Error() || len(got.Details()) != 1 {
			t.Errorf("%v gives %v", c.err, got)
		}
	}
	own := connect.NewError(connect.CodeDataLoss, nil)
	if ErrorToConnect(fmt.Errorf("x: %w", own)) != own {
		t.Error("the protocol's own error is changed")
	}
}

// TestBadMetadata wants an error's words although its session can't be sent.
func TestBadMetadata(t *testing.T) {
	bad := &api.Error{Code: api.CodeConflict, Message: "m", Session: &api.Session{Metadata: map[string]string{"k": "\xff"}}}
	if got := ErrorToConnect(bad); got.Code() != connect.CodeFailedPrecondition || got.Message() != "m" {
		t.Errorf("%v", got)
	}
}

// TestFitTrailers wants short errors as they are.
func TestFitTrailers(t *testing.T) {
	s := full[api.Session]()
	short := ErrorToConnect(&api.Error{Code: api.CodeConflict, Message: strings.Repeat("x", trailerMessage), Session: &s})
	if FitTrailers(short) != short {
		t.Error("a short error is changed")
	}
	bare := connect.NewError(connect.CodeInternal, errors.New(strings.Repeat("x", trailerMessage+1)))
	if FitTrailers(bare) != bare {
		t.Error("an error without a detail is changed")
	}
}

// TestSessionsJSON wants an array on one line, empty too.
func TestSessionsJSON(t *testing.T) {
	one, err := SessionJSON(api.Session{ID: "a", Metadata: map[string]string{"b": "<&>", "a": "1"}})
	if err != nil || strings.ContainsAny(string(one), " \n") || !strings.Contains(string(one), `"metadata":{"a":"1","b":"<&>"}`) {
		t.Errorf("%s, %v", one, err)
	}
	two, err := SessionsJSON([]api.Session{{ID: "a", Metadata: map[string]string{"b": "<&>", "a": "1"}}, {ID: "b"}})
	if err != nil || !strings.HasPrefix(string(two), "["+string(one)+`,{"session_id":"b",`) || !strings.HasSuffix(string(two), "}]") {
		t.Errorf("%s, %v", two, err)
	}
	if none, err := SessionsJSON(nil); string(none) != "[]" || err != nil {
		t.Errorf("%s, %v", none, err)
	}
}

// FuzzUnmarshal wants no panic, and words for whatever is refused.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{`{}`, `{"template":"t","ttl":5}`, `{"metadata":{"a":null}}`, `[`, `null`, "\xff", `{"x":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &controlv1.CreateSessionRequest{}
		err := Unmarshal(data, m)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 400 {
				t.Errorf("%q: %q", data, err)
			}
			return
		}
		text, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back := &controlv1.CreateSessionRequest{}
		if err := Unmarshal(text, back); err != nil || !proto.Equal(m, back) {
			t.Errorf("%s: %v", text, err)
		}
	})
}
