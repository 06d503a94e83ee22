package control

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// TestRoutes wants a wrong path, method or content type told in words.
func TestRoutes(t *testing.T) {
	w := start(t)
	get := "/" + sessionService + "GetSession"
	watch := "/" + sessionService + "WatchSessions"
	health := "/grpc.health.v1.Health/Check"
	cases := []struct {
		method, path, kind string
		status             int
		words              string
		header, value      string
	}{
		{"POST", "/", "application/json", 404, `"/" is no method of this host. Its services are berth.control.v1.SessionService and berth.control.v1.ProviderService`, "", ""},
		{"GET", "/metrics", "", 404, `"/metrics" is no method`, "", ""},
		{"POST", get + "/", "application/json", 404, "is no method", "", ""},
		{"POST", "/" + sessionService + "getSession", "application/json", 404, "is no method", "", ""},
		{"POST", "/" + strings.Repeat("x", 1000), "application/json", 404, "is no method", "", ""},
		{"GET", get, "", 405, get + " is called with POST, not with GET", "Allow", "POST"},
		{"PUT", get, "application/json", 405, "not with PUT", "Allow", "POST"},
		{"DELETE", watch, "application/json", 405, "not with DELETE", "Allow", "POST"},
		{"GET", health, "", 405, "not with GET", "Allow", "POST"},
		{"POST", get, "", 415, `does not take Content-Type ""; it takes application/json, application/proto`, "Accept-Post", "application/json, "},
		{"POST", get, "application/x-www-form-urlencoded", 415, "it takes application/json", "Accept-Post", "application/json, "},
		{"POST", get, "application/connect+json", 415, "it takes application/json", "", ""},
		{"POST", get, "application/json; charset=latin1", 415, "it takes application/json", "", ""},
		{"POST", get, "application/proto; charset=utf-8", 415, "it takes application/json", "", ""},
		{"POST", watch, "application/json", 415, "it takes application/connect+json", "", ""},
		{"POST", health, "text/plain", 415, "it takes application/json", "", ""},
	}
	for _, c := range cases {
		resp, text := w.do(t, c.method, c.path, c.kind, "{}")
		if resp.StatusCode != c.status || !strings.Contains(text, c.words) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || len(text) > 500 {
			t.Errorf("%s %.80s %s: %d %q", c.method, c.path, c.kind, resp.StatusCode, text)
		}
		if c.header != "" && !strings.HasPrefix(resp.Header.Get(c.header), c.value) {
			t.Errorf("%s %.80s: %s is %q", c.method, c.path, c.header, resp.Header.Get(c.header))
		}
	}
	bad := w.callers(t)["grpc"](t.Context(), sessionService+"Nope", &controlv1.GetSessionRequest{}, &controlv1.GetSessionResponse{})
	if bad == nil || bad.Code != "unimplemented" || !strings.Contains(bad.Message, `Nope" is no method of this host`) || bad.Detail.GetCode() != "unsupported" {
		t.Errorf("an unknown method in gRPC: %+v", bad)
	}
}

func (w *world) do(t *testing.T, method, path, kind, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://berth"+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestJSON wants the JSON exactly as it is promised.
func TestJSON(t *testing.T) {
	w := start(t)
	session := running()
	w.host.get = func(context.Context, string) (api.Session, error) { return session, nil }
	path := "/" + sessionService + "GetSession"
	want := `{"session":{"session_id":"` + sessionID + `","chat_id":"` + chatID + `","agent_id":"a","template":"default","provider":"docker",` +
		`"sandbox_id":"c1","status":"running","created_at":"2026-01-02T15:04:05.123456Z","expires_at":"2026-01-02T15:09:05.123456Z",` +
		`"volume_host_path":"/srv/v","metadata":{"k":"v"},"endpoint":{"ip":"172.20.0.8","port":8000},"ended":null}}`
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"} {
		if resp, text := w.do(t, "POST", path, kind, `{"session_id":"x"}`); resp.StatusCode != 200 || text != want {
			t.Errorf("%s: %d\n%s, want\n%s", kind, resp.StatusCode, text, want)
		}
	}
	session = api.Session{ID: sessionID, Status: api.StatusEnded, Ended: &api.End{Reason: api.ReasonFailed}}
	want = `{"session":{"session_id":"` + sessionID + `","chat_id":"","agent_id":"","template":"","provider":"","sandbox_id":"","status":"ended",` +
		`"created_at":null,"expires_at":null,"volume_host_path":"","metadata":{},"endpoint":null,` +
		`"ended":{"reason":"failed","exit_code":null,"oom_killed":false,"at":null,"message":""}}}`
	if _, text := w.do(t, "POST", path, "application/json", `{}`); text != want {
		t.Errorf("\n%s, want\n%s", text, want)
	}
	w.host.get = func(context.Context, string) (api.Session, error) {
		return session, &api.Error{Code: api.CodeNotFound, Op: "get", SessionID: sessionID, Message: "none"}
	}
	want = `{"code":"not_found","message":"get: none","details":[{"type":"berth.control.v1.Error","value":"`
	debug := `","debug":{"code":"not_found","chat_id":"","session_id":"` + sessionID + `","session":null}}]}`
	for _, kind := range []string{"application/json", "application/proto"} {
		resp, text := w.do(t, "POST", path, kind, map[string]string{"application/json": "{}"}[kind])
		if resp.StatusCode != 404 || !strings.HasPrefix(text, want) || !strings.HasSuffix(text, debug) || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
}

// TestListIsNeverNull wants empty lists, not null.
func TestListIsNeverNull(t *testing.T) {
	w := start(t)
	w.host.list = func(context.Context, api.Filter, api.Page) ([]api.Session, *api.Cursor, error) {
		return nil, nil, nil
	}
	if _, text := w.do(t, "POST", "/"+sessionService+"ListSessions", "application/json", `{}`); text != `{"sessions":[],"next_page_token":""}` {
		t.Error(text)
	}
	if err := protojson.Unmarshal([]byte(`{"sessions":[],"next_page_token":""}`), &controlv1.ListSessionsResponse{}); err != nil {
		t.Error(err)
	}
}
