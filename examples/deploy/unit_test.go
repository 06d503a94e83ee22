package deploy

import (
	"bufio"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/config"
)

const unitFile = "berth.service"

// unit is a systemd unit: the values of each key, by "Section.Key".
type unit map[string][]string

func readUnit(t *testing.T) unit {
	t.Helper()
	f, err := os.Open(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u, section := unit{}, ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			t.Fatalf("%q is no setting of a section", line)
		}
		u[section+"."+key] = append(u[section+"."+key], value)
	}
	return u
}

func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Errorf("%s is there %d times, want once: %q", key, len(u[key]), u[key])
		return ""
	}
	return u[key][0]
}

// The settings that a mistake in would cost sandboxes, or would open the machine.
func TestUnit(t *testing.T) {
	u := readUnit(t)
	for key, want := range map[string]string{
		"Service.Type":                     "exec", // the host does not notify
		"Service.KillMode":                 "process",
		"Service.Restart":                  "on-failure",
		"Service.RestartPreventExitStatus": "2",
		"Service.OOMPolicy":                "continue",
		"Service.NoNewPrivileges":          "yes",
		"Service.ProtectSystem":            "strict",
		"Service.User":                     "berth",
		"Service.SupplementaryGroups":      "docker",
		"Service.UMask":                    "0077",
		"Unit.StartLimitIntervalSec":       "0",
		"Install.WantedBy":                 "multi-user.target",
	} {
		if got := u.one(t, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	// The daemon may go and come: the host stays.
	for _, key := range []string{"Unit.Requires", "Unit.BindsTo", "Unit.PartOf", "Unit.Requisite"} {
		if len(u[key]) != 0 {
			t.Errorf("%s would stop the host with %q", key, u[key])
		}
	}
	// Chat directories are given away; the bounding set would take what ambient gives.
	ambient := strings.Fields(u.one(t, "Service.AmbientCapabilities"))
	if bounding := strings.Fields(u.one(t, "Service.CapabilityBoundingSet")); !slices.Contains(ambient, "CAP_CHOWN") || !slices.Equal(ambient, bounding) {
		t.Errorf("capabilities: ambient %v, bounding %v", ambient, bounding)
	}
	if stop, err := time.ParseDuration(u.one(t, "Service.TimeoutStopSec") + "s"); err != nil || stop < 30*time.Second {
		t.Errorf("TimeoutStopSec: %v %v; a host takes 15 s for work in flight, and then ends its plugins", stop, err)
	}
	reload := u["Service.ExecReload"]
	if last := reload[len(reload)-1]; last != "/usr/bin/kill -HUP $MAINPID" {
		t.Errorf("ExecReload ends with %q", last)
	}
	for key, values := range u {
		if !strings.HasPrefix(key, "Service.Exec") {
			continue
		}
		for _, v := range values {
			command := strings.Fields(v)[0]
			if !path.IsAbs(command) {
				t.Errorf("%s: %q has no absolute path", key, v)
			}
			if slices.Contains([]string{"sh", "bash", "dash", "env"}, path.Base(command)) || strings.ContainsAny(v, "|;&><`") {
				t.Errorf("%s: %q is a shell's", key, v)
			}
		}
	}
}

// What config.hcl names can be written, and is made.
func TestUnitFitsConfig(t *testing.T) {
	u, cfg := readUnit(t), shipped(t)
	serve := strings.Fields(u.one(t, "Service.ExecStart"))
	if len(serve) != 4 || serve[1] != "serve" || serve[2] != "--config" {
		t.Errorf("ExecStart: %q", serve)
	}
	var made []string
	for _, dir := range strings.Fields(u.one(t, "Service.StateDirectory")) {
		made = append(made, "/var/lib/"+dir)
	}
	want := append([]string{filepath.Dir(cfg.StateDir)}, cfg.VolumeRoots...)
	for _, tmpl := range cfg.Templates {
		ev, err := tmpl.Evaluate(config.Session{ID: "s", ChatID: "c"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ev.Mounts {
			if m.Create != nil {
				want = append(want, m.Create.Within)
			} else {
				want = append(want, m.Source)
			}
		}
	}
	for _, dir := range want {
		if !slices.Contains(made, dir) {
			t.Errorf("StateDirectory does not make %s, which config.hcl wants", dir)
		}
	}
}

// systemd itself has nothing to say about the unit.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// It looks for the programs too: this test's own stands for the host.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(shortDir(t), unitFile)
	if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/berth ", self+" ")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", copied).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
