package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// A scrape of a host that has done everything once shows it: the exact names, labels and
// values.
func TestMetrics(t *testing.T) { onEach(t, metrics) }

func metrics(t *testing.T, on kind) {
	s := on.site(t)
	noImage, _, _ := s.on.missing()
	s.configure(settings{
		lifecycle: map[string]string{"sweep_interval": `"1s"`},
		more:      s.variant("broken", map[string]string{"image": quote(noImage)}, ""),
	})
	h := s.start().ready()
	kept := h.create(chat())
	stopped := h.create(chat())
	h.stop(stopped.ID)
	h.delete(h.create(chat()).ID)
	brief := chat()
	brief.TTL = 12 * time.Second
	h.ended(h.create(brief).ID, brief.TTL+lateness)
	killed := h.create(chat())
	s.on.kill(killed.SandboxID)
	h.ended(killed.ID, soon)
	h.refused(host.CreateRequest{Template: "broken", ChatID: uuid.NewString()})
	killPlugin(t, h, true)
	h.awaitLists(2)

	m := h.scrape()
	for series, want := range map[string]float64{
		h.operations("create", "created"):    5,
		h.operations("create", "error"):      1,
		h.operations("stop", "stopped"):      2, // the stop, and the expiry's
		h.operations("delete", "deleted"):    3, // the delete, the expiry's, and that of the one that was killed
		h.operations("list_active", "error"): 0,

		`sandbox_runtime_errors_total{error_type="not_found",operation="create",provider="` + on.name + `"}`:    1,
		`berth_sessions{provider="` + on.name + `",status="running",template="default"}`:                        1,
		`berth_sessions{provider="` + on.name + `",status="stopped",template="default"}`:                        1,
		`berth_sessions_ended_total{provider="` + on.name + `",reason="deleted"}`:                               1,
		`berth_sessions_ended_total{provider="` + on.name + `",reason="exited"}`:                                1,
		`berth_sessions_ended_total{provider="` + on.name + `",reason="expired"}`:                               1,
		`berth_sessions_ended_total{provider="` + on.name + `",reason="failed"}`:                                1,
		`berth_expiry_lag_seconds_count{provider="` + on.name + `"}`:                                            1,
		`berth_orphans_total{action="deleted",provider="` + on.name + `"}`:                                      0,
		`berth_plugin_up{provider="` + on.name + `"}`:                                                           1,
		`berth_plugin_restarts_total{provider="` + on.name + `",reason="died"}`:                                 1,
		`berth_plugin_rpc_duration_seconds_count{code="ok",method="create",provider="` + on.name + `"}`:         5,
		`berth_plugin_rpc_duration_seconds_count{code="ok",method="prepare",provider="` + on.name + `"}`:        5,
		`berth_plugin_rpc_duration_seconds_count{code="not_found",method="prepare",provider="` + on.name + `"}`: 1,
		`berth_plugin_rpc_duration_seconds_count{code="ok",method="configure",provider="` + on.name + `"}`:      2,
	} {
		if got := m[series]; got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	for _, series := range []string{h.operations("list_active", "listed"), "berth_lease_commit_seconds_count"} {
		if m[series] < 3 {
			t.Errorf("%s is %v", series, m[series])
		}
	}
	wantOperations(t, m, h.operations("create", "created"), h.operations("create", "error"),
		h.operations("stop", "stopped"), h.operations("delete", "deleted"), h.operations("list_active", "listed"))
	wantErrors(t, m, `error_type="not_found",operation="create"`)
	if lag := m[`berth_expiry_lag_seconds_sum{provider="`+on.name+`"}`]; lag < 0 || lag > lateness.Seconds() {
		t.Errorf("the expiry's lag was %v s", lag)
	}
	wantBounded(t, h, m, kept)
	wantTypes(t, h)
}

// operations is the name of the count of the place's provider.
func (h *remote) operations(operation, result string) string {
	return `sandbox_runtime_operation_duration_seconds_count{operation="` + operation + `",provider="` + h.s.on.name() + `",result="` + result + `"}`
}

// wantOperations checks that nothing else was counted of operations.
func wantOperations(t *testing.T, m scrape, counts ...string) {
	t.Helper()
	for series, n := range m {
		if strings.HasPrefix(series, "sandbox_runtime_operation_duration_seconds_count{") && n != 0 && !slices.Contains(counts, series) {
			t.Errorf("%s is %v", series, n)
		}
	}
}

// wantErrors checks that nothing else was counted as an error than what has these labels.
func wantErrors(t *testing.T, m scrape, labels ...string) {
	t.Helper()
	for series, n := range m {
		labelled := func(l string) bool { return strings.HasPrefix(series, "sandbox_runtime_errors_total{"+l+",") }
		if strings.HasPrefix(series, "sandbox_runtime_errors_total") && !slices.ContainsFunc(labels, labelled) {
			t.Errorf("%s is %v", series, n)
		}
	}
}

// wantBounded checks that each label has a value of its list, and that no value is an id.
func wantBounded(t *testing.T, h *remote, m scrape, v host.Session) {
	t.Helper()
	classes := []string{"not_found", "conflict", "unavailable", "invalid_argument", "unsupported", "exhausted", "canceled", "internal"}
	allowed := map[string][]string{
		"provider": {h.s.on.name()}, "template": {"default", "broken"}, "le": nil,
		"operation":  {"create", "stop", "delete", "list_active"},
		"result":     {"created", "stopped", "deleted", "not_found", "listed", "error"},
		"status":     {"creating", "running", "stopping", "stopped", "deleting", "unknown"},
		"reason":     {"expired", "deleted", "exited", "oom_killed", "removed", "failed", "lost", "died", "hung", "start_failed", "changed"},
		"action":     {"deleted", "adopted", "foreign", "unreadable"},
		"method":     {"info", "schemas", "validate", "configure", "drain", "prepare", "create", "get", "list", "stop", "delete", "health", "identity", "logs", "events"},
		"error_type": classes, "code": append([]string{"ok"}, classes...),
	}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for series := range m {
		if !strings.HasPrefix(series, "berth_") && !strings.HasPrefix(series, "sandbox_runtime_") {
			t.Errorf("%s is none of ours", series)
		}
		for _, id := range []string{v.ID, v.ChatID, v.SandboxID} {
			if strings.Contains(series, id) {
				t.Errorf("%s holds an id", series)
			}
		}
		for _, l := range label.FindAllStringSubmatch(series, -1) {
			values, known := allowed[l[1]]
			if !known || values != nil && !slices.Contains(values, l[2]) {
				t.Errorf("%s: label %s has the value %q", series, l[1], l[2])
			}
		}
	}
}

// wantTypes checks which families there are, and of what type.
func wantTypes(t *testing.T, h *remote) {
	t.Helper()
	text, err := fetch(h.url("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			got[f[2]] = f[3]
		}
	}
	for name, kind := range map[string]string{
		"sandbox_runtime_operation_duration_seconds": "histogram", "sandbox_runtime_errors_total": "counter",
		"berth_sessions": "gauge", "berth_sessions_ended_total": "counter", "berth_expiry_lag_seconds": "histogram",
		"berth_plugin_up": "gauge", "berth_plugin_restarts_total": "counter", "berth_backend_changes_total": "counter",
		"berth_plugin_rpc_duration_seconds": "histogram", "berth_lease_commit_seconds": "histogram",
	} {
		if got[name] != kind {
			t.Errorf("%s is a %q, want a %s", name, got[name], kind)
		}
		delete(got, name)
	}
	delete(got, "berth_orphans_total") // of other tests' sandboxes
	if len(got) != 0 {
		t.Errorf("families beside those of the design: %v", got)
	}
}

// The three pages of a host whose providers are all ready; plugins_test.go has one whose
// are not.
func TestPages(t *testing.T) { onEach(t, pages) }

func pages(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	status, body, err := page(h.url("/readyz"))
	if err != nil || status != http.StatusOK {
		t.Errorf("/readyz: %d %v", status, err)
	}
	wantWords(t, "/readyz", body, `"ready":true`, `"name":"`+on.name+`","state":"ready"`, `"generation":1`)
	if status, body, err := page(h.url("/healthz")); err != nil || status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q %v", status, body, err)
	}
	if status, _, err := page(h.url("/")); err != nil || status != http.StatusNotFound {
		t.Errorf("another page: %d %v", status, err)
	}
	out := s.berth(0, "providers")
	wantWords(t, "berth providers", out, on.name, "ready", s.on.differs().version, "logs, events")
}
