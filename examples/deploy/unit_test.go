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

// The units: the host, and what stands in for it while it does not run.
const (
	unitFile  = "berth.service"
	reapFile  = "berth-reap.service"
	timerFile = "berth-reap.timer"
	dropIn    = "process.conf" // of both services, for the process provider
)

// unit is a systemd unit: the values of each key, by "Section.Key".
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	f, err := os.Open(name)
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
	u := readUnit(t, unitFile)
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
	u.wantPlainCommands(t)
}

// wantPlainCommands refuses commands that are a shell's or have no absolute path.
func (u unit) wantPlainCommands(t *testing.T) {
	t.Helper()
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

// The reaper is the host's user, in the host's place, with less. It looks aside while the
// host runs, and comes again.
func TestReapUnit(t *testing.T) {
	serve, reap, timer := readUnit(t, unitFile), readUnit(t, reapFile), readUnit(t, timerFile)
	reap.wantPlainCommands(t)
	for key, want := range map[string]string{
		"Service.Type":                  "oneshot",
		"Service.KillMode":              "process",
		"Service.CapabilityBoundingSet": "",
		"Unit.ConditionPathExists":      "!/run/" + serve.one(t, "Service.RuntimeDirectory"),
	} {
		if got := reap.one(t, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"User", "SupplementaryGroups", "StateDirectoryMode", "UMask", "NoNewPrivileges", "ProtectSystem", "ProtectHome",
		"Environment", "EnvironmentFile", "SystemCallFilter", "RestrictAddressFamilies", "PrivateDevices", "RestrictNamespaces"} {
		if got, want := reap.one(t, "Service."+key), serve.one(t, "Service."+key); got != want {
			t.Errorf("%s is %q, and the host has %q", key, got, want)
		}
	}
	// It must not take the host's runtime directory away when it ends, nor be started by it.
	for _, key := range []string{"Service.RuntimeDirectory", "Service.Restart", "Install.WantedBy", "Unit.Requires", "Unit.BindsTo", "Unit.Conflicts"} {
		if len(reap[key]) != 0 {
			t.Errorf("%s: %q", key, reap[key])
		}
	}
	host, own := strings.Fields(serve.one(t, "Service.ExecStart")), strings.Fields(reap.one(t, "Service.ExecStart"))
	if want := []string{host[0], "reap", "--expired", "--config", host[3]}; !slices.Equal(own, want) {
		t.Errorf("ExecStart: %q, want %q", own, want)
	}
	if made := strings.Fields(serve.one(t, "Service.StateDirectory")); !slices.Contains(made, reap.one(t, "Service.StateDirectory")) ||
		filepath.Dir(shipped(t).StateDir) != "/var/lib/"+reap.one(t, "Service.StateDirectory") {
		t.Errorf("StateDirectory does not hold %s", shipped(t).StateDir)
	}
	if timer.one(t, "Timer.OnCalendar") != "*:0/5" || timer.one(t, "Install.WantedBy") != "timers.target" || len(timer["Timer.Unit"]) != 0 {
		t.Errorf("%v", timer)
	}
}

// The drop-in gives back what the process provider needs, and what either unit has taken;
// calls are added to those that they allow.
func TestDropIn(t *testing.T) {
	d := readUnit(t, dropIn)
	for _, key := range []string{"RestrictNamespaces", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs"} {
		if got := d.one(t, "Service."+key); got != "no" {
			t.Errorf("%s is %q, want no", key, got)
		}
	}
	calls := strings.Fields(strings.Join(d["Service.SystemCallFilter"], " "))
	if slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "~") }) {
		t.Errorf("SystemCallFilter takes something away: %q", calls)
	}
	for _, want := range []string{"@mount", "sethostname", "seccomp", "landlock_restrict_self", "pidfd_open", "pidfd_getfd"} {
		if !slices.Contains(calls, want) {
			t.Errorf("SystemCallFilter has no %s: %q", want, calls)
		}
	}
	for _, name := range []string{unitFile, reapFile} {
		u := readUnit(t, name)
		for key := range d {
			if len(u[key]) != 1 {
				t.Errorf("%s says nothing of %s", name, key)
			}
		}
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "drop-in "+dropIn+".\nRestrictNamespaces=yes\n") {
		t.Errorf("%s does not name %s beside the line that it is for", unitFile, dropIn)
	}
}

// What config.hcl names can be written, and is made.
func TestUnitFitsConfig(t *testing.T) {
	u, cfg := readUnit(t, unitFile), shipped(t)
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

// systemd itself has nothing to say about the units.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	// It looks for the programs too: this test's own stands for the host.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, args := shortDir(t), []string{"verify", "--man=no"}
	for _, name := range []string{unitFile, reapFile, timerFile} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, name)
		if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/berth ", self+" ")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	for _, name := range []string{unitFile, reapFile} {
		text, err := os.ReadFile(dropIn)
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, name+".d"), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".d", dropIn), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
