package metrics_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/metrics"
	"github.com/berth-dev/berth/sdk/provider"
)

func open(t *testing.T, reg prometheus.Registerer) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// scrape serves a registry as a host does, and reads its samples by name and labels.
func scrape(t *testing.T, reg prometheus.Gatherer) map[string]string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{})}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	defer func() { server.Close(); <-done }()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s", res.Status, text)
	}
	samples := map[string]string{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			samples[line[:at]] = line[at+1:]
		}
	}
	return samples
}

// everything records one of each.
func everything(m *metrics.Metrics) {
	for result, operation := range map[string]string{"created": "create", "stopped": "stop", "deleted": "delete", "listed": "list_active"} {
		m.OperationDone("docker", operation, result, nil, 30*time.Millisecond)
	}
	m.OperationDone("docker", "create", "adopted", nil, 30*time.Millisecond)
	m.OperationDone("docker", "delete", "not_found", nil, time.Millisecond)
	m.OperationDone("docker", "create", "", fmt.Errorf("wrapped: %w", &provider.Error{Class: provider.InvalidArgument}), 3*time.Minute)
	m.OperationDone("docker", "stop", "stopped", errors.New("of no class"), time.Second)
	m.OperationDone("docker", "list_active", "", context.DeadlineExceeded, time.Second)
	m.Ended("docker", lease.Expired)
	m.Ended("docker", lease.Expired)
	m.ExpiryLag("docker", 20*time.Millisecond)
	m.ExpiryLag("docker", -time.Second)
	m.Orphan("docker", "foreign")
	m.BadAnswer("docker", "list")
	m.OtherBackend("docker")
	m.PluginUp("docker", true)
	m.PluginUp("mock", true)
	m.PluginUp("mock", false)
	m.PluginRestarted("docker", "died")
	m.PluginRestarted("docker", "reloaded")
	m.RPC("docker", "create", "ok", 2*time.Millisecond)
	m.RPC("docker", "get", "not_found", time.Minute)
	m.LeaseCommit(700 * time.Microsecond)
	m.Sessions(func() []metrics.SessionCount {
		return []metrics.SessionCount{
			{Provider: "docker", Template: "default", Status: "running", N: 2},
			{Provider: "docker", Template: "default", Status: "running", N: 1},
			{Provider: "docker", Template: "default", Status: "unknown", N: 4},
			{Provider: "docker", Template: "other", Status: "creating"},
		}
	})
}

func TestEverySeriesByItsName(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	everything(open(t, reg))
	got := scrape(t, reg)
	for sample, want := range map[string]string{
		`sandbox_runtime_operation_duration_seconds_count{operation="create",provider="docker",result="created"}`:     "2",
		`sandbox_runtime_operation_duration_seconds_count{operation="create",provider="docker",result="error"}`:       "1",
		`sandbox_runtime_operation_duration_seconds_sum{operation="create",provider="docker",result="error"}`:         "180",
		`sandbox_runtime_operation_duration_seconds_count{operation="stop",provider="docker",result="stopped"}`:       "1",
		`sandbox_runtime_operation_duration_seconds_count{operation="stop",provider="docker",result="error"}`:         "1",
		`sandbox_runtime_operation_duration_seconds_count{operation="delete",provider="docker",result="deleted"}`:     "1",
		`sandbox_runtime_operation_duration_seconds_count{operation="delete",provider="docker",result="not_found"}`:   "1",
		`sandbox_runtime_operation_duration_seconds_count{operation="list_active",provider="docker",result="listed"}`: "1",
		`sandbox_runtime_operation_duration_seconds_count{operation="list_active",provider="docker",result="error"}`:  "1",
		`sandbox_runtime_errors_total{error_type="invalid_argument",operation="create",provider="docker"}`:            "1",
		`sandbox_runtime_errors_total{error_type="internal",operation="stop",provider="docker"}`:                      "1",
		`sandbox_runtime_errors_total{error_type="canceled",operation="list_active",provider="docker"}`:               "1",
		`berth_sessions{provider="docker",status="running",template="default"}`:                                       "3",
		`berth_sessions{provider="docker",status="unknown",template="default"}`:                                       "4",
		`berth_sessions{provider="docker",status="creating",template="other"}`:                                        "0",
		`berth_sessions_ended_total{provider="docker",reason="expired"}`:                                              "2",
		`berth_expiry_lag_seconds_count{provider="docker"}`:                                                           "2",
		`berth_expiry_lag_seconds_sum{provider="docker"}`:                                                             "0.02",
		`berth_orphans_total{action="foreign",provider="docker"}`:                                                     "1",
		`berth_plugin_bad_answers_total{method="list",provider="docker"}`:                                             "1",
		`berth_backend_changes_total{provider="docker"}`:                                                              "1",
		`berth_plugin_up{provider="docker"}`:                                                                          "1",
		`berth_plugin_up{provider="mock"}`:                                                                            "0",
		`berth_plugin_restarts_total{provider="docker",reason="died"}`:                                                "1",
		`berth_plugin_restarts_total{provider="docker",reason="reloaded"}`:                                            "1",
		`berth_plugin_rpc_duration_seconds_count{code="ok",method="create",provider="docker"}`:                        "1",
		`berth_plugin_rpc_duration_seconds_count{code="not_found",method="get",provider="docker"}`:                    "1",
		`berth_lease_commit_seconds_count`:                                                                            "1",
		`berth_lease_commit_seconds_bucket{le="0.0005"}`:                                                              "0",
		`berth_lease_commit_seconds_bucket{le="0.001"}`:                                                               "1",
	} {
		if got[sample] != want {
			t.Errorf("%s is %q, want %s", sample, got[sample], want)
		}
	}
	known := regexp.MustCompile(`^(sandbox_runtime_operation_duration_seconds|sandbox_runtime_errors_total|berth_sessions|berth_sessions_ended_total|berth_expiry_lag_seconds|berth_orphans_total|berth_plugin_bad_answers_total|berth_backend_changes_total|berth_plugin_up|berth_plugin_restarts_total|berth_plugin_rpc_duration_seconds|berth_lease_commit_seconds)(_bucket|_sum|_count)?(\{|$)`)
	for sample := range got {
		if !known.MatchString(sample) {
			t.Errorf("nobody has asked for %s", sample)
		}
	}
}

func TestEachHistogramSpansItsRange(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	everything(open(t, reg))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float64{
		"sandbox_runtime_operation_duration_seconds": {.005, 120},
		"berth_plugin_rpc_duration_seconds":          {.0005, 30},
		"berth_lease_commit_seconds":                 {.0001, 1},
		"berth_expiry_lag_seconds":                   {.001, 600},
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil {
			b := h.GetBucket()
			if got := [2]float64{b[0].GetUpperBound(), b[len(b)-1].GetUpperBound()}; got != want[f.GetName()] {
				t.Errorf("%s reaches from %v to %v", f.GetName(), got[0], got[1])
			}
			delete(want, f.GetName())
		}
	}
	if len(want) != 0 {
		t.Errorf("no histograms: %v", want)
	}
}

func TestPrometheusOwnRules(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	everything(open(t, reg))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Whatever comes in, no label takes a value that is not on its list.
func TestLabelsAreBounded(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := open(t, reg)
	for i := range 50 {
		id := fmt.Sprintf("0b7c2f3e-%d", i)
		m.OperationDone("docker", id, id, nil, time.Second)
		m.OperationDone("docker", id, id, &provider.Error{Class: provider.Class(id)}, time.Second)
		m.Ended("docker", lease.Reason(id))
		m.Orphan("docker", id)
		m.BadAnswer("docker", id)
		m.PluginRestarted("docker", id)
		m.RPC("docker", id, id, time.Second)
		m.Sessions(func() []metrics.SessionCount {
			return []metrics.SessionCount{{Provider: "docker", Template: "t", Status: id, N: 1}, {Provider: "docker", Template: "t", Status: id + "x", N: 1}}
		})
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{
		"operation": {"other"}, "result": {"other", "error"}, "error_type": {"other"}, "reason": {"other"}, "action": {"other"},
		"method": {"other"}, "code": {"other"}, "status": {"other"}, "provider": {"docker"}, "template": {"t"},
	}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				if !slices.Contains(values[l.GetName()], l.GetValue()) {
					t.Errorf("%s has %s=%q", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	if got := scrape(t, reg)[`berth_sessions{provider="docker",status="other",template="t"}`]; got != "2" {
		t.Errorf("sessions of two unknown states count %q", got)
	}
}

// Every value that the rest of the host has a name for keeps it.
func TestKnownValuesAreKept(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := open(t, reg)
	for _, c := range provider.Classes() {
		m.OperationDone("docker", "create", "", &provider.Error{Class: c}, 0)
		m.RPC("docker", "create", string(c), 0)
	}
	for _, r := range []lease.Reason{lease.Expired, lease.Deleted, lease.Exited, lease.OOMKilled, lease.Removed, lease.Failed, lease.Lost} {
		m.Ended("docker", r)
	}
	for _, s := range []lease.State{lease.Creating, lease.Running, lease.Stopping, lease.Stopped, lease.Deleting} {
		m.Sessions(func() []metrics.SessionCount {
			return []metrics.SessionCount{{Provider: "docker", Status: string(s), N: 1}}
		})
		if n := scrape(t, reg)[fmt.Sprintf(`berth_sessions{provider="docker",status=%q,template=""}`, s)]; n != "1" {
			t.Errorf("status %s counts %q", s, n)
		}
	}
	for _, a := range []string{"deleted", "adopted", "foreign", "unreadable"} {
		m.Orphan("docker", a)
	}
	for sample := range scrape(t, reg) {
		if strings.Contains(sample, `"other"`) {
			t.Errorf("folded: %s", sample)
		}
	}
}

func TestTwoHosts(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	first := open(t, reg)
	first.PluginUp("docker", true)
	_, err := metrics.New(reg)
	if err == nil || !strings.Contains(err.Error(), "another host is on this registerer; give each a label with prometheus.WrapRegistererWith") {
		t.Errorf("got %v", err)
	}
	if scrape(t, reg)[`berth_plugin_up{provider="docker"}`] != "1" {
		t.Error("the refused host has taken the first one's metrics away")
	}
	first.Close()
	if left := scrape(t, reg); len(left) != 0 {
		t.Errorf("after Close there is %v", left)
	}

	reg = prometheus.NewPedanticRegistry() // one never forgets which labels a name had
	a := open(t, prometheus.WrapRegistererWith(prometheus.Labels{"host": "a"}, reg))
	b := open(t, prometheus.WrapRegistererWith(prometheus.Labels{"host": "b"}, reg))
	everything(a)
	everything(b)
	got := scrape(t, reg)
	for _, host := range []string{"a", "b"} {
		if got[fmt.Sprintf(`berth_plugin_up{host=%q,provider="docker"}`, host)] != "1" {
			t.Errorf("host %s has no metrics", host)
		}
	}
	a.Close()
	a.Close()
	for sample := range scrape(t, reg) {
		if !strings.Contains(sample, `host="b"`) {
			t.Errorf("after a's Close: %s", sample)
		}
	}
}

func TestAStrangersMetricIsAnError(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "berth_lease_commit_seconds", Help: "Somebody else's."}))
	if _, err := metrics.New(reg); err == nil || !strings.Contains(err.Error(), "metrics: ") {
		t.Errorf("got %v", err)
	}
	if left := scrape(t, reg); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRecordingWhileScraped(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := open(t, reg)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				everything(m)
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := reg.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
