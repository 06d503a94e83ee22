package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// TestBadJSON wants each fault refused, with the field's name first.
func TestBadJSON(t *testing.T) {
	w := start(t) // its verbs panic: nothing of this may come through
	long := strings.Repeat("x", 2000)
	cases := []struct{ path, body, want string }{
		{"CreateSession", `{"template":"t","nope":1}`, "create: nope: is no field of CreateSessionRequest; it has template, chat_id, session_id, agent_id, volume, ttl, metadata"},
		{"EnsureSession", `{"` + long + `":1}`, "ensure: xxx"},
		{"GetSession", `{"session_id":5}`, "get: session_id: wants a string; this is 5"},
		{"GetSession", `{"sessionId":{"a":1}}`, "get: session_id: wants a string; this is {\"a\":1}"},
		{"CreateSession", `{"metadata":"x"}`, `create: metadata: wants an object of strings, such as {"key": "value"}; this is "x"`},
		{"CreateSession", `{"metadata":{"a":1}}`, "create: metadata: wants an object of strings"},
		{"CreateSession", `{"ttl":300}`, "create: ttl: wants a string; this is 300"},
		{"ListSessions", `{"all":"yes"}`, `list: all: wants true or false; this is "yes"`},
		{"ListSessions", `{"page_size":1.5}`, "list: page_size: wants a whole number of at most 2147483647; this is 1.5"},
		{"ListSessions", `{"page_size":4294967296}`, "list: page_size: wants a whole number"},
		{"ExtendSession", `{"until":"tomorrow"}`, `extend: until: wants a time in RFC 3339, such as "2026-01-02T15:04:05Z"; this is "tomorrow"`},
		{"ExtendSession", `{"until":{"seconds":5}}`, "extend: until: wants a time in RFC 3339"},
		{"ExtendSession", `{"by":"1m","by":"2m"}`, "extend: by: is given twice; give it once"},
		{"ExtendSession", `{"session_id":"a","sessionId":"b"}`, "extend: session_id: is given twice"},
		{"CreateSession", `{"metadata":{"a":"1","b":"2","a":"3"}}`, `create: metadata: key "a" is given twice; give it once`},
		{"CreateSession", `{"metadata":{"` + long + `":"1","` + long + `":"3"}}`, `create: metadata: key "` + long[:64] + `…" is given twice`},
		{"CreateSession", `{"metadata":` + strings.Repeat(`{"a":`, 20000), "create: the body is nested over the limit of 1000 levels"},
		{"CreateSession", strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000), "create: the body is nested over the limit of 1000 levels"},
		{"CreateSession", `{"metadata":[[[["]}\\"]]]]}`, "create: metadata: wants an object of strings"},
		{"StopSession", ``, "stop: the body is empty; give a JSON object, at least {}"},
		{"StopSession", `[]`, `stop: the body is no JSON object; give one such as {"session_id": …}`},
		{"StopSession", `null`, "stop: the body is no JSON object"},
		{"StopSession", `{"session_id":` + long, "stop: the body is not JSON: "},
		{"StopSession", `{"session_id":"a"`, "stop: the body is not JSON: "},
		{"StopSession", `{} {}`, "stop: the body is not JSON: "},
		{"DeleteSession", "{\"session_id\":\"\xff\"}", "delete: session_id: is not UTF-8; give text in UTF-8"},
		{"CreateSession", `{"chat_id":"` + strings.ToUpper(chatID) + `","ttl":"0s"}`, "create: ttl: 0s is not over 0; give more, such as 5m, or leave it out for the template's"},
		{"EnsureSession", `{"ttl":"5"}`, `ensure: ttl: "5" is no duration; give one such as 90s, 5m or 1h30m`},
		{"CreateSession", `{"ttl":"99999999999h"}`, `create: ttl: "99999999999h" is too long; the limit of a duration is 2562047h47m16s`},
		{"CreateSession", `{"ttl":"-9999999h"}`, `create: ttl: "-9999999h" is too long`},
		{"ExtendSession", `{"by":"` + strings.Repeat("9", 100) + `h"}`, `extend: by: "` + strings.Repeat("9", 64) + `…" is too long`},
		{"ExtendSession", `{"by":"1h` + long + `"}`, `extend: by: "1h` + long[:62] + `…" is no duration`},
		{"ExtendSession", `{"by":"0s"}`, "extend: by: 0s is not over 0"},
		{"ExtendSession", `{"seen_expires_at":"0001-01-01T00:00:00Z"}`, "extend: seen_expires_at: 0001-01-01T00:00:00Z is a time that was never set"},
		{"ListSessions", `{"page_size":-1}`, "list: page_size: -1 is not from 0 to 1000; 0 means 100"},
		{"ListSessions", `{"page_size":1001}`, "list: page_size: 1001 is not from 0 to 1000"},
		{"ListSessions", `{"page_token":"!!"}`, "list: page_token: is not of this list; give next_page_token of the page before, with the same filters"},
		{"ListSessions", `{"page_token":"AAAA"}`, "list: page_token: is not of this list"},
		{"GetSession", `{"session_id":"` + strings.Repeat("x", maxBody) + `"}`, "get: the body is over the limit of 1048576 bytes; send less"},
		{"GetSession", strings.Repeat(" ", 20*maxBody) + `{}`, "get: the body is over the limit of 1048576 bytes; send less"},
	}
	for _, c := range cases {
		status, text := w.post(t, t.Context(), sessionService+c.path, c.body)
		bad := jsonError(t, text)
		if status != http.StatusBadRequest || bad.Code != "invalid_argument" || !strings.Contains(bad.Message, c.want) || len(bad.Message) > 300 {
			t.Errorf("%s %.80s:\n%d %+v, want %s", c.path, c.body, status, bad, c.want)
		}
		if bad.Detail.GetCode() != "invalid_argument" {
			t.Errorf("%s %.80s: the detail is %v", c.path, c.body, bad.Detail)
		}
		if strings.Contains(bad.Message, long[:65]) {
			t.Errorf("%s: more than 64 bytes of a value come back: %s", c.path, bad.Message)
		}
		if strings.Contains(c.body, chatID) && bad.Detail.GetChatId() != chatID {
			t.Errorf("%s: the detail is %v, without the chat", c.path, bad.Detail)
		}
	}
	if s := w.log.String(); s != "" {
		t.Errorf("a caller's faults are logged: %s", s)
	}
}

// TestBadMessages wants the same of binary requests.
func TestBadMessages(t *testing.T) {
	w := start(t)
	newer := &controlv1.CreateSessionRequest{Template: "t"}
	newer.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	deep := &controlv1.ExtendSessionRequest{Until: &timestamppb.Timestamp{Seconds: 1}}
	deep.Until.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), 1))
	forged := &controlv1.GetSessionRequest{}
	note(forged, context.Canceled)
	for protocol, call := range w.callers(t) {
		if protocol == "json" {
			continue
		}
		for _, bad := range []struct {
			err  *answerError
			want string
		}{
			{call(t.Context(), sessionService+"CreateSession", newer, &controlv1.CreateSessionResponse{}), "create: field 99: is no field of CreateSessionRequest"},
			{call(t.Context(), sessionService+"ExtendSession", deep, &controlv1.ExtendSessionResponse{}), "extend: field 7: is no field of Timestamp"},
			{call(t.Context(), sessionService+"GetSession", forged, &controlv1.GetSessionResponse{}), "get: field 536870911: is no field of GetSessionRequest"},
			{call(t.Context(), sessionService+"ExtendSession", &controlv1.ExtendSessionRequest{Until: &timestamppb.Timestamp{Nanos: -1}}, &controlv1.ExtendSessionResponse{}), "extend: until: seconds 0, nanos -1 is no time"},
			{call(t.Context(), sessionService+"GetSession", &controlv1.GetSessionRequest{SessionId: strings.Repeat("x", maxBody)}, &controlv1.GetSessionResponse{}), "the body is over the limit of 1048576 bytes; send less"},
		} {
			if bad.err == nil || bad.err.Code != "invalid_argument" || !strings.Contains(bad.err.Message, bad.want) || bad.err.Detail.GetCode() != "invalid_argument" {
				t.Errorf("by %s: %+v, want %s", protocol, bad.err, bad.want)
			}
		}
	}
}

// TestBadText wants a text that is not UTF-8 told with its field, and what is no message
// told too.
func TestBadText(t *testing.T) {
	w := start(t)
	item := func(key, value string) string {
		entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
		return string(protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), value))
	}
	for _, c := range []struct {
		number protowire.Number
		text   string
		want   string
	}{
		{1, "\xff", "create: template: is not UTF-8; give text in UTF-8"},
		{4, "a\xc3", "create: agent_id: is not UTF-8"},
		{7, item("\xff", "a"), "create: metadata: is not UTF-8"},
		{7, item("a", "\xff"), "create: metadata: is not UTF-8"},
		{7, "\xff", "create: the body is no CreateSessionRequest: "},
	} {
		body := protowire.AppendString(protowire.AppendTag(nil, c.number, protowire.BytesType), c.text)
		_, text := w.do(t, "POST", "/"+sessionService+"CreateSession", "application/proto", string(body))
		if bad := jsonError(t, text); bad.Code != "invalid_argument" || !strings.HasPrefix(bad.Message, c.want) {
			t.Errorf("field %d: %+v, want %s", c.number, bad, c.want)
		}
	}
}

// TestPackedBomb wants a small body that unpacks to a large one refused.
func TestPackedBomb(t *testing.T) {
	w := start(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Repeat([]byte(" "), 4*maxBody))
	z.Close()
	req, err := http.NewRequest(http.MethodPost, "http://berth/"+sessionService+"GetSession", &packed)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(resp.Body)
	bad := jsonError(t, text.String())
	if bad.Code != "invalid_argument" || bad.Message != "the body is over the limit of 1048576 bytes; send less" || bad.Detail.GetCode() != "invalid_argument" {
		t.Errorf("%+v", bad)
	}
}

// TestPages goes through a list by its tokens, which hold for their filters alone.
func TestPages(t *testing.T) {
	w := start(t)
	next := &api.Cursor{CreatedAt: running().CreatedAt, ID: sessionID}
	var asked api.Page
	w.host.list = func(_ context.Context, _ api.Filter, p api.Page) ([]api.Session, *api.Cursor, error) {
		asked = p
		return nil, next, nil
	}
	call := w.callers(t)["grpc"]
	var got controlv1.ListSessionsResponse
	list := func(req *controlv1.ListSessionsRequest) *answerError {
		return call(t.Context(), sessionService+"ListSessions", req, &got)
	}
	for _, cursor := range []api.Cursor{*next, {ID: sessionID}} { // the second has not been prepared yet
		next = &cursor
		if bad := list(&controlv1.ListSessionsRequest{Template: "a"}); bad != nil || asked != (api.Page{Size: 100}) {
			t.Fatalf("%+v, %+v", bad, asked)
		}
		token := got.NextPageToken
		if bad := list(&controlv1.ListSessionsRequest{Template: "a", PageToken: token, PageSize: 1000}); bad != nil ||
			asked.Size != 1000 || asked.After.ID != cursor.ID || !asked.After.CreatedAt.Equal(cursor.CreatedAt) || asked.After.CreatedAt.IsZero() != cursor.CreatedAt.IsZero() {
			t.Fatalf("%+v, %+v", bad, asked)
		}
		for _, other := range []*controlv1.ListSessionsRequest{
			{Template: "b"}, {}, {Template: "a", All: true}, {AgentId: "a"}, {Template: "a", Status: "running"}, {Template: "a", ChatId: chatID},
		} {
			other.PageToken = token
			if bad := list(other); bad == nil || bad.Code != "invalid_argument" || !strings.Contains(bad.Message, "page_token: ") {
				t.Errorf("%v: %+v", other, bad)
			}
		}
		for i := range 2 * len(token) {
			damaged := []byte(token)
			damaged[i/2] += byte(1 + i%2) // the last character has bits that no byte needs
			if bad := list(&controlv1.ListSessionsRequest{Template: "a", PageToken: string(damaged)}); bad == nil {
				t.Errorf("a token with another byte %d is taken", i/2)
			}
		}
		got.Reset()
	}
	next = nil
	if bad := list(&controlv1.ListSessionsRequest{}); bad != nil || got.NextPageToken != "" {
		t.Errorf("the last page: %+v, %q", bad, got.NextPageToken)
	}
}

// TestBadHeaders wants what Connect would refuse by itself refused with our detail.
func TestBadHeaders(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ kind, header, value, body, code, want string }{
		{"application/json", "Content-Encoding", "br", "{}", "unsupported", `get: Content-Encoding: "br" is not known here; send gzip, or nothing`},
		{"application/json", "Content-Encoding", "gzip", "{}", "invalid_argument", "the body says that it is gzip and is not: "},
		{"application/json", "Content-Encoding", "gzip", zipped("{}")[:15], "invalid_argument", "the body says that it is gzip and is not: unexpected EOF"},
		{"application/json", "Connect-Timeout-Ms", "1s", "{}", "invalid_argument", `get: Connect-Timeout-Ms: "1s" is no time limit; give milliseconds, in at most 10 digits`},
		{"application/json", "Connect-Timeout-Ms", "-1", "{}", "invalid_argument", "is no time limit"},
		{"application/json", "Connect-Timeout-Ms", "99999999999", "{}", "invalid_argument", "is no time limit"},
		{"application/json", "Connect-Protocol-Version", "2", "{}", "invalid_argument", `get: Connect-Protocol-Version: "2" is not spoken here; give 1, or leave it out`},
		{"application/proto", "Content-Encoding", "zstd", "", "unsupported", "zstd"},
		{"application/grpc", "Grpc-Encoding", "snappy", "\x01\x00\x00\x00\x00", "unsupported", `get: Grpc-Encoding: "snappy" is not known here`},
		{"application/grpc", "Grpc-Timeout", "5", "\x00\x00\x00\x00\x00", "invalid_argument", `get: Grpc-Timeout: "5" is no time limit; give at most 8 digits and one of H, M, S, m, u, n`},
		{"application/grpc", "Grpc-Timeout", "999999999S", "\x00\x00\x00\x00\x00", "invalid_argument", "is no time limit"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://berth/"+sessionService+"GetSession", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		req.Header.Set(c.header, c.value)
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{DialContext: w.dial, Protocols: protocols}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s %s %q: %v; %s", c.kind, c.header, c.value, err, w.log)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if err != nil {
			t.Fatal(err)
		}
		detail, words := &controlv1.Error{}, ""
		if c.kind == "application/grpc" {
			for key, values := range resp.Trailer { // of an answer that has nothing else, they are headers
				resp.Header[key] = values
			}
			raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(resp.Header.Get("Grpc-Status-Details-Bin"), "="))
			sent := status.New(codes.OK, "").Proto()
			if err != nil || proto.Unmarshal(raw, sent) != nil || len(sent.GetDetails()) != 1 || sent.GetDetails()[0].UnmarshalTo(detail) != nil {
				t.Errorf("%s %s %q: headers %v", c.kind, c.header, c.value, resp.Header)
			}
			words = sent.GetMessage()
		} else {
			bad := jsonError(t, string(text))
			detail, words = bad.Detail, bad.Message
		}
		if detail.GetCode() != c.code || !strings.Contains(words, c.want) {
			t.Errorf("%s %s %q: %d %s %v, detail %v, want %s %q", c.kind, c.header, c.value, resp.StatusCode, text, resp.Header, detail, c.code, c.want)
		}
	}
}

// zipped is text in gzip.
func zipped(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write([]byte(text))
	z.Close()
	return out.String()
}
