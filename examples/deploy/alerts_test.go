package deploy

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The alerts read metrics that a host exposes, by labels that these have.
func TestAlerts(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decodeYAML(t, "alerts.yml", &file)
	f := exposed(t)
	inText := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] {
				t.Errorf("alert %q has no name of its own", r.Alert)
			}
			seen[r.Alert] = true
			if _, err := f.check(r.Expr); err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: for: %v", r.Alert, err)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" {
				t.Errorf("%s says nothing", r.Alert)
			}
			// What the text tells must be left of the labels after the grouping.
			for _, a := range r.Annotations {
				for _, m := range inText.FindAllStringSubmatch(a, -1) {
					if grouped := strings.Contains(r.Expr, " by ("); grouped && !slices.Contains(lastGroup(r.Expr), m[1]) {
						t.Errorf("%s: its text names the label %s, which %s leaves out", r.Alert, m[1], r.Expr)
					}
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Error("there are no alerts")
	}
	if path, err := exec.LookPath("promtool"); err == nil {
		if out, err := exec.Command(path, "check", "rules", "alerts.yml").CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
}

var byLabels = regexp.MustCompile(` by \(([^)]*)\)`)

func lastGroup(expr string) []string {
	all := byLabels.FindAllStringSubmatch(expr, -1)
	return strings.Split(strings.ReplaceAll(all[len(all)-1][1], " ", ""), ",")
}

// Prometheus loads the alerts, and scrapes where config.hcl serves the metrics.
func TestPrometheus(t *testing.T) {
	var file struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			MetricsPath   string                       `yaml:"metrics_path"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(file.RuleFiles, []string{"alerts.yml"}) {
		t.Errorf("rule_files: %v", file.RuleFiles)
	}
	cfg := shipped(t)
	if len(file.ScrapeConfigs) != 1 || file.ScrapeConfigs[0].JobName != "berth" || file.ScrapeConfigs[0].MetricsPath != "" {
		t.Fatalf("scrape_configs: %+v", file.ScrapeConfigs)
	}
	targets := file.ScrapeConfigs[0].StaticConfigs
	if len(targets) != 1 || !slices.Equal(targets[0].Targets, []string{cfg.Metrics.Address}) {
		t.Errorf("it scrapes %+v, and config.hcl serves %s", targets, cfg.Metrics.Address)
	}
	if _, _, err := net.SplitHostPort(cfg.Metrics.Address); err != nil {
		t.Error(err)
	}
}

// The dashboard shows all that a host exposes, and nothing else.
func TestGrafana(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, RefID string }
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	f := exposed(t)
	shown, ids := map[string]bool{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("panel %d %q has another's id, no title, no query or no place", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			names, err := f.check(q.Expr)
			if err != nil {
				t.Errorf("panel %q: %v", p.Title, err)
			}
			for _, n := range names {
				shown[n] = true
			}
		}
	}
	for name := range f {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	// Also where no query is: in titles, legends and descriptions.
	for _, name := range regexp.MustCompile(`\b(berth|sandbox_runtime)_[a-z_]+`).FindAllString(string(text), -1) {
		if _, _, err := f.find(name); err != nil && f[name].kind == "" {
			t.Error(err)
		}
	}
}

// What a file gets wrong is found.
func TestWrongExpressionsAreFound(t *testing.T) {
	f := exposed(t)
	for expr, want := range map[string]string{
		`berth_plugin_upp == 0`:                                            "exposes no berth_plugin_upp",
		`berth_plugin_up{plugin="docker"}`:                                 "no label plugin",
		`berth_sessions{status="runing"}`:                                  `never "runing"`,
		`berth_sessions{status=~"running|gone"}`:                           `never "gone"`,
		`berth_plugin_restarts_total{reason="expired"}`:                    `never "expired"`,
		`sum by (template) (berth_plugin_up)`:                              "has the label template",
		`berth_plugin_up unless on (template) up`:                          "has the label template",
		`rate(berth_expiry_lag_seconds[5m])`:                               "is a histogram",
		`histogram_quantile(0.9, berth_plugin_up_bucket)`:                  "exposes no berth_plugin_up_bucket",
		`berth_lease_commit_seconds_count{le="1"}`:                         "no label le",
		`sum(berth_plugin_up`:                                              "not closed",
		`berth_plugin_up)`:                                                 "too many",
		`berth_plugin_up{provider="docker"`:                                "no end",
		`berth_plugin_up{provider}`:                                        "no end",
		`berth_plugin_up{provider>"a"}`:                                    "no matcher",
		`deriv(berth_plugin_up[5m])`:                                       "none of the functions",
		`1 > 0`:                                                            "reads no metric",
		`berth_plugin_up # down`:                                           "can't be read",
		`increase(sandbox_runtime_errors_total{operation="stopp"}[5m]) >0`: `never "stopp"`,
	} {
		if _, err := f.check(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
}

func decodeYAML(t *testing.T, path string, into any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
