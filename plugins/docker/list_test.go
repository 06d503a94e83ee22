package docker

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// sixLabels are those of a sandbox that another adapter made.
func sixLabels(change map[string]string) map[string]string {
	labels := map[string]string{
		"session_id": uuid.NewString(), "chat_id": uuid.NewString(),
		"expires_at": "2031-04-02T12:05:00.123456+00:00", "agent_id": "a", "volume_host_path": "", "endpoint_port": "8000",
	}
	maps.Copy(labels, change)
	for k, v := range labels {
		if v == "DROP" {
			delete(labels, k)
		}
	}
	return labels
}

// docker-provider.md, list active: one call, all states, endpoint only when it runs,
// created-at is the daemon's.
func TestList(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	created := r.create(spec)
	s, summary := r.listed(created.Sandbox.ID)
	if s == nil {
		t.Fatal("the sandbox is not listed")
	}
	if summary.Total < 1 {
		t.Errorf("summary: %+v", summary)
	}
	if s.State != provider.StateRunning || s.SessionID != spec.SessionID || s.ChatID != spec.ChatID || s.AgentID != spec.AgentID ||
		s.Owner != spec.Owner || s.Template != spec.Template || s.RequestHash != spec.RequestHash || s.Name != spec.Name ||
		!s.ExpiresAt.Equal(spec.ExpiresAt) || s.Endpoint == nil || *s.Endpoint != *created.Sandbox.Endpoint {
		t.Errorf("listed as %+v, endpoint %+v", s, s.Endpoint)
	}
	if want := r.madeAt(created.Sandbox.ID).Truncate(time.Second); !s.CreatedAt.Equal(want) {
		t.Errorf("created at %v, want %v", s.CreatedAt, want)
	}
	if _, err := r.Stop(t.Context(), provider.StopRequest{ID: created.Sandbox.ID, Fence: fence(spec)}); err != nil {
		t.Fatal(err)
	}
	if s, _ = r.listed(created.Sandbox.ID); s == nil || s.State != provider.StateExited || s.Endpoint != nil {
		t.Errorf("a stopped one is listed as %+v", s)
	}
}

// list active: created-at is the daemon's creation time, in a list in whole seconds, and no
// other: not that of its start, nor of the question.
func TestListCreatedAt(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	id := r.raw("other-"+uuid.NewString(), sixLabels(nil), false)
	made := r.madeAt(id)
	eventually(t, "another second", func() bool { return time.Since(made) > 2*time.Second })
	if err := r.api.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.listed(id); s == nil || !s.CreatedAt.Equal(made.Truncate(time.Second)) {
		t.Errorf("listed as %+v, it was created at %v", s, made)
	}
	if s, err := r.Get(t.Context(), provider.Ref{ID: id}); err != nil || !s.CreatedAt.Equal(made) {
		t.Errorf("get: %+v, %v; it was created at %v", s, err, made)
	}
}

// madeAt is when the daemon says that it made a container.
func (r *rig) madeAt(id string) time.Time {
	r.t.Helper()
	at, err := time.Parse(time.RFC3339Nano, r.inspectRaw(id).Created)
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

// list active: a sandbox that another adapter made is read: Z, offsets and fractions.
func TestListReadsOtherAdaptersSandboxes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	want := time.Date(2031, 4, 2, 12, 5, 0, 123456000, time.UTC)
	for _, text := range []string{"2031-04-02T12:05:00.123456+00:00", "2031-04-02T12:05:00.123456Z", "2031-04-02T14:05:00.123456+02:00"} {
		labels := sixLabels(map[string]string{"expires_at": text, "session_id": strings.ToUpper(uuid.NewString())})
		id := r.raw("other-"+uuid.NewString(), labels, true)
		s, _ := r.listed(id)
		if s == nil {
			t.Fatalf("%s: not listed", text)
		}
		if !s.ExpiresAt.Equal(want) || s.Owner != "" || s.SessionID != strings.ToLower(labels["session_id"]) || s.Endpoint == nil || s.Endpoint.Port != 8000 {
			t.Errorf("%s: %+v, endpoint %+v", text, s, s.Endpoint)
		}
	}
}

// list active: what can't be read is left out, counted, and logged once; what lacks a
// key is no sandbox at all.
func TestListUnreadable(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for _, test := range []struct {
		change map[string]string
		reason string
	}{
		{map[string]string{"session_id": "no-uuid"}, `label session_id: "no-uuid" is not a UUID`},
		{map[string]string{"chat_id": ""}, `label chat_id: "" is not a UUID`},
		{map[string]string{"expires_at": "tomorrow"}, "label expires_at: "},
		{map[string]string{"endpoint_port": "99999"}, `label endpoint_port: "99999" is not a port`},
	} {
		test.change[labelOwner] = "somebody"
		id := r.raw("broken-"+uuid.NewString(), sixLabels(test.change), false)
		s, summary := r.listed(id)
		if s != nil {
			t.Errorf("%v is listed", test.change)
		}
		found := false
		for _, u := range summary.Unreadable {
			found = found || u.ID == id && u.Owner == "somebody" && strings.Contains(u.Reason, test.reason)
		}
		if !found {
			t.Errorf("%v: the summary does not tell of it: %+v", test.change, summary.Unreadable)
		}
		r.listed(id)
		if n := strings.Count(r.logs.String(), id); n != 1 {
			t.Errorf("%v was logged %d times, want once", test.change, n)
		}
		if got, err := r.Get(t.Context(), provider.Ref{ID: id}); err != nil || !strings.Contains(got.Unreadable, test.reason) {
			t.Errorf("get: %+v, %v", got, err)
		}
	}
	id := r.raw("incomplete-"+uuid.NewString(), sixLabels(map[string]string{"agent_id": "DROP"}), false)
	s, summary := r.listed(id)
	for _, u := range summary.Unreadable {
		if u.ID == id {
			t.Error("a container without all six keys is counted")
		}
	}
	if s != nil {
		t.Error("a container without all six keys is listed")
	}
}

// list active: the span's counts, exactly. Of the daemon's answer the provider sees the
// containers of this test alone.
func TestListSpan(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	mark := uuid.NewString()
	mine := func(change map[string]string) map[string]string {
		labels := sixLabels(change)
		labels["berth.test"] = mark
		return labels
	}
	name := func() string { return "counted-" + uuid.NewString() }
	r.raw(name(), mine(nil), true)
	r.raw(name(), mine(map[string]string{labelOwner: "somebody"}), true)
	exited := r.raw(name(), mine(nil), true)
	if err := r.api.ContainerKill(t.Context(), exited, "KILL"); err != nil {
		t.Fatal(err)
	}
	waitExited(t, r, exited)
	r.raw(name(), mine(nil), false)                                         // created
	r.raw(name(), mine(map[string]string{"expires_at": "tomorrow"}), true)  // unreadable, and runs
	r.raw(name(), mine(map[string]string{"agent_id": "DROP"}), true)        // no sandbox
	r.raw(name(), map[string]string{"berth.test": mark, "other": ""}, true) // likewise
	proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
		if is(req, http.MethodGet, "/containers/json") {
			keep(t, resp, "berth.test", mark)
		}
	}})
	yielded := 0
	summary, err := r.List(t.Context(), func(provider.Sandbox) error { yielded++; return nil })
	if err != nil || summary.Total != 5 || len(summary.Unreadable) != 1 || yielded != 4 {
		t.Errorf("%d were listed, summary %+v, %v; want 4 of 5, and 1 unreadable", yielded, summary, err)
	}
	want := map[string]string{"sandbox.result": "listed", "sandbox.container_count": "5", "sandbox.active_count": "2"}
	if got := attributes(r.span(spanList).Attributes()); !maps.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
}

// keep leaves of a list's answer the containers that bear a label.
func keep(t *testing.T, resp *http.Response, label, value string) {
	var list []map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Error(err)
	}
	_ = resp.Body.Close()
	list = slices.DeleteFunc(list, func(c map[string]any) bool {
		labels, _ := c["Labels"].(map[string]any)
		return labels[label] != value
	})
	b, err := json.Marshal(list)
	if err != nil {
		t.Error(err)
	}
	replace(resp, resp.StatusCode, string(b))
}

// create 5: the time's format, exactly.
func TestTimeFormat(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 2*60*60)
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 4, 2, 12, 5, 0, 0, time.UTC), "2026-04-02T12:05:00+00:00"},
		{time.Date(2026, 4, 2, 12, 5, 0, 123456000, time.UTC), "2026-04-02T12:05:00.123456+00:00"},
		{time.Date(2026, 4, 2, 12, 5, 0, 120000000, time.UTC), "2026-04-02T12:05:00.120000+00:00"},
		{time.Date(2026, 4, 2, 12, 5, 0, 123456789, time.UTC), "2026-04-02T12:05:00.123456+00:00"},
		{time.Date(2026, 4, 2, 14, 5, 0, 0, berlin), "2026-04-02T12:05:00+00:00"},
	} {
		got := formatTime(test.at)
		if got != test.want {
			t.Errorf("%v is written %s, want %s", test.at, got, test.want)
		}
		if back, err := parseTime(got); err != nil || !back.Equal(test.at.Truncate(time.Microsecond)) {
			t.Errorf("%s is read as %v, %v", got, back, err)
		}
	}
}
