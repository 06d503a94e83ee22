package control

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

const (
	sessionID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
	chatID    = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
)

func running() api.Session {
	at := time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC)
	return api.Session{
		ID: sessionID, ChatID: chatID, AgentID: "a", Template: "default", Provider: "docker", SandboxID: "c1",
		Status: api.StatusRunning, CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute), VolumeHostPath: "/srv/v",
		Metadata: map[string]string{"k": "v"}, Endpoint: &api.Endpoint{IP: "172.20.0.8", Port: 8000},
	}
}

// verbCase is a verb: what is sent, what the host is asked, and what is answered.
type verbCase struct {
	name      string
	req, resp proto.Message // resp: the answer that is expected
	asked     any
	expect    func(f *fakeHost, asked chan<- any, err error)
}

func verbCases() []verbCase {
	s := running()
	pb := convert.SessionToProto(s)
	create := api.CreateRequest{SessionID: sessionID, ChatID: chatID, AgentID: "a", Template: "default", Volume: "/srv/v", TTL: 90 * time.Second, Metadata: map[string]string{"k": "v"}}
	until := s.ExpiresAt.Add(time.Hour)
	return []verbCase{
		{"CreateSession", &controlv1.CreateSessionRequest{Template: "default", ChatId: chatID, SessionId: sessionID, AgentId: "a", Volume: "/srv/v", Ttl: "1m30s", Metadata: map[string]string{"k": "v"}},
			&controlv1.CreateSessionResponse{Session: pb}, create,
			func(f *fakeHost, asked chan<- any, err error) {
				f.create = func(_ context.Context, r api.CreateRequest) (api.Session, error) { asked <- r; return s, err }
			}},
		{"EnsureSession", &controlv1.EnsureSessionRequest{Template: "default", ChatId: chatID, SessionId: sessionID, AgentId: "a", Volume: "/srv/v", Ttl: "1m30s", Metadata: map[string]string{"k": "v"}},
			&controlv1.EnsureSessionResponse{Session: pb}, create,
			func(f *fakeHost, asked chan<- any, err error) {
				f.ensure = func(_ context.Context, r api.CreateRequest) (api.Session, error) { asked <- r; return s, err }
			}},
		{"GetSession", &controlv1.GetSessionRequest{SessionId: sessionID}, &controlv1.GetSessionResponse{Session: pb}, sessionID,
			func(f *fakeHost, asked chan<- any, err error) {
				f.get = func(_ context.Context, id string) (api.Session, error) { asked <- id; return s, err }
			}},
		{"ListSessions", &controlv1.ListSessionsRequest{PageSize: 7, ChatId: chatID, AgentId: "a", Template: "default", Status: "running", All: true},
			&controlv1.ListSessionsResponse{Sessions: []*controlv1.Session{pb}},
			[]any{api.Filter{ChatID: chatID, AgentID: "a", Template: "default", Status: "running", All: true}, api.Page{Size: 7}},
			func(f *fakeHost, asked chan<- any, err error) {
				f.list = func(_ context.Context, filter api.Filter, p api.Page) ([]api.Session, *api.Cursor, error) {
					asked <- []any{filter, p}
					return []api.Session{s}, nil, err
				}
			}},
		{"ExtendSession", &controlv1.ExtendSessionRequest{SessionId: sessionID, By: "5m", Until: timestamppb.New(until), SeenExpiresAt: timestamppb.New(s.ExpiresAt)},
			&controlv1.ExtendSessionResponse{Session: pb}, []any{sessionID, api.ExtendRequest{By: 5 * time.Minute, Until: until, Seen: s.ExpiresAt}},
			func(f *fakeHost, asked chan<- any, err error) {
				f.extend = func(_ context.Context, id string, r api.ExtendRequest) (api.Session, error) {
					asked <- []any{id, r}
					return s, err
				}
			}},
		{"StopSession", &controlv1.StopSessionRequest{SessionId: sessionID}, &controlv1.StopSessionResponse{Session: pb}, sessionID,
			func(f *fakeHost, asked chan<- any, err error) {
				f.stop = func(_ context.Context, id string) (api.Session, error) { asked <- id; return s, err }
			}},
		{"DeleteSession", &controlv1.DeleteSessionRequest{SessionId: sessionID}, &controlv1.DeleteSessionResponse{}, sessionID,
			func(f *fakeHost, asked chan<- any, err error) {
				f.remove = func(_ context.Context, id string) error { asked <- id; return err }
			}},
	}
}

// TestVerbs calls each verb in each protocol.
func TestVerbs(t *testing.T) {
	w := start(t)
	for protocol, call := range w.callers(t) {
		for _, c := range verbCases() {
			asked := make(chan any, 1)
			c.expect(w.host, asked, nil)
			got := c.resp.ProtoReflect().New().Interface()
			if bad := call(t.Context(), sessionService+c.name, c.req, got); bad != nil {
				t.Errorf("%s by %s: %+v", c.name, protocol, bad)
				continue
			}
			if !proto.Equal(got, c.resp) {
				t.Errorf("%s by %s answers\n%v, want\n%v", c.name, protocol, got, c.resp)
			}
			if a := <-asked; !reflect.DeepEqual(a, c.asked) {
				t.Errorf("%s by %s asks the host for\n%+v, want\n%+v", c.name, protocol, a, c.asked)
			}
		}
		w.host.providers = func() []Provider {
			return []Provider{{Name: "docker", State: "degraded", Reason: "away\xff", Plugin: "p", Version: "1", Backend: "28", Identity: "id",
				Capabilities: []string{"logs"}, Limitations: []Limitation{{Name: "swap", Reason: "off"}}, Generation: 3}}
		}
		got := &controlv1.ListProvidersResponse{}
		want := &controlv1.Provider{Name: "docker", State: "degraded", Reason: "away\uFFFD", Plugin: "p", Version: "1", Backend: "28", Identity: "id",
			Capabilities: []string{"logs"}, Limitations: []*controlv1.Limitation{{Name: "swap", Reason: "off"}}, Generation: 3}
		if bad := call(t.Context(), "berth.control.v1.ProviderService/ListProviders", &controlv1.ListProvidersRequest{}, got); bad != nil || len(got.Providers) != 1 || !proto.Equal(got.Providers[0], want) {
			t.Errorf("ListProviders by %s: %v, %+v", protocol, got, bad)
		}
	}
	if s := w.log.String(); s != "" {
		t.Errorf("logged %s", s)
	}
}

// protocolCodes is the mapping that the API promises.
var protocolCodes = map[api.Code]string{
	api.CodeInvalidArgument:    "invalid_argument",
	api.CodeNotFound:           "not_found",
	api.CodeConflict:           "failed_precondition",
	api.CodeResourceExhausted:  "resource_exhausted",
	api.CodeUnavailable:        "unavailable",
	api.CodeUnsupported:        "unimplemented",
	api.CodeSandboxStartFailed: "internal",
	api.CodeSandboxStopFailed:  "internal",
	api.CodeSandboxListFailed:  "internal",
	api.CodeInternal:           "internal",
}

// TestErrors has each verb fail with each code in each protocol.
func TestErrors(t *testing.T) {
	w := start(t)
	session := running()
	for protocol, call := range w.callers(t) {
		for _, c := range verbCases() {
			for code := range maps.Keys(protocolCodes) {
				failure := &api.Error{Code: code, Op: "verb", ChatID: chatID, SessionID: sessionID, Message: "no\nway", Err: fmt.Errorf("cause é \xff")}
				if code == api.CodeConflict {
					failure.Session = &session
				}
				asked := make(chan any, 1)
				c.expect(w.host, asked, fmt.Errorf("wrapped: %w", failure))
				bad := call(t.Context(), sessionService+c.name, c.req, c.resp.ProtoReflect().New().Interface())
				want := &controlv1.Error{Code: string(code), ChatId: chatID, SessionId: sessionID}
				if code == api.CodeConflict {
					want.Session = convert.SessionToProto(session)
				}
				if bad == nil || bad.Code != protocolCodes[code] || bad.Message != "wrapped: verb: no\nway: cause é \uFFFD" || !proto.Equal(bad.Detail, want) {
					t.Errorf("%s with %s by %s: %+v", c.name, code, protocol, bad)
				}
			}
		}
	}
}
