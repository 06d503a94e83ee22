package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(path, []byte("owner = \"me\"\nstate_dir = \"/s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := Load(path)
	if len(diags) > 0 || cfg.Owner != "me" || cfg.Control.Socket != "/s/berth.sock" {
		t.Errorf("%v %+v", diags, cfg)
	}
	large := filepath.Join(dir, "large.hcl")
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxFileBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.hcl"): "none.hcl: error: the configuration can't be read: no such file or directory\n  Name the file with --config.",
		dir:                            ": error: the configuration can't be read: is a directory",
		large:                          "large.hcl: error: the file must be at most 1048576 bytes",
	} {
		cfg, diags := Load(path)
		if cfg != nil || diags.Err() == nil || !strings.HasSuffix(diags.Error(), want) {
			t.Errorf("%s: %v, want %q", path, diags, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustParse(t, `provider "docker" {}
template "t" { provider = "docker" }`)
	if want := (Lifecycle{
		SweepInterval: time.Minute, StopGrace: 10 * time.Second, CreateTimeout: 2 * time.Minute,
		RecoveryGrace: 10 * time.Minute, EndedRetention: time.Hour, MaxTTL: 24 * time.Hour,
		MaxLifetime: 168 * time.Hour, MaxSessions: 1000, MaxCreating: 8, MaxReaping: 8,
	}); cfg.Lifecycle != want {
		t.Errorf("lifecycle %+v", cfg.Lifecycle)
	}
	if cfg.Metrics != nil || cfg.Owner != "" || cfg.PluginDir != "" || cfg.VolumeRoots != nil {
		t.Errorf("config %+v", cfg)
	}
	p := cfg.Provider("docker")
	if p.Command != "berth-provider-docker" || p.SHA256 != "" || p.Required || p.Adopt != nil || p.AcceptBackend != "" || p.Env != nil {
		t.Errorf("provider %+v", p)
	}
	tpl := cfg.Template("t")
	want := provider.Resources{MemoryBytes: 512 << 20, NanoCPUs: 1e9, Pids: 2048, Swap: provider.SwapAuto}
	if tpl.TTL != 5*time.Minute || tpl.Port != 0 || tpl.Publish || tpl.Resources != want || tpl.Ready != nil || tpl.Limits != (Limits{}) {
		t.Errorf("template %+v", tpl)
	}
	if got := p.Templates(); len(got) != 1 || got[0] != tpl {
		t.Errorf("templates of the provider: %v", got)
	}
	if cfg.Provider("x") != nil || cfg.Template("x") != nil {
		t.Error("something is found that is not there")
	}
	ready := mustParse(t, "provider \"p\" {}\ntemplate \"t\" {\nprovider = \"p\"\nport = 1\nready {\ntcp = true\n}\n}").Template("t").Ready
	if !reflect.DeepEqual(ready, &Ready{TCP: true, Timeout: 30 * time.Second}) {
		t.Errorf("ready %+v", ready)
	}
}

func TestValues(t *testing.T) {
	cfg := mustParse(t, `
provider "docker" {
  command        = "/opt/p"
  sha256         = "`+strings.Repeat("AB", 32)+`"
  required       = true
  adopt          = ["unowned", "old"]
  accept_backend = "ID:1"
  env            = { A = "1", B = 2 }
}
template "t" {
  provider = "docker"
  port     = 8000
  endpoint = "published"
  ttl      = "90s"
  limits {
    sessions           = 5
    sessions_per_agent = 2
  }
  resources {
    memory = "1.5GiB"
    cpus   = 0.25
    pids   = 10
    swap   = "require"
  }
  ready {
    http    = "/healthz?full=1"
    timeout = "1500ms"
  }
}
metrics { address = "[::1]:9464" }
control { socket = "/run/x.sock" }
volume_roots = ["/a/", "/b"]
`)
	p, tpl := cfg.Provider("docker"), cfg.Template("t")
	if p.Command != "/opt/p" || p.SHA256 != strings.Repeat("ab", 32) || !p.Required || p.AcceptBackend != "ID:1" ||
		!reflect.DeepEqual(p.Adopt, []string{Unowned, "old"}) || !reflect.DeepEqual(p.Env, map[string]string{"A": "1", "B": "2"}) {
		t.Errorf("provider %+v", p)
	}
	want := provider.Resources{MemoryBytes: 3 << 29, NanoCPUs: 25e7, Pids: 10, Swap: provider.SwapRequire}
	if tpl.Resources != want || tpl.Port != 8000 || !tpl.Publish || tpl.TTL != 90*time.Second || tpl.Limits != (Limits{5, 2}) ||
		*tpl.Ready != (Ready{HTTP: "/healthz?full=1", Timeout: 1500 * time.Millisecond}) {
		t.Errorf("template %+v", tpl)
	}
	if cfg.Metrics.Address != "[::1]:9464" || cfg.Control.Socket != "/run/x.sock" || !reflect.DeepEqual(cfg.VolumeRoots, []string{"/a", "/b"}) {
		t.Errorf("config %+v", cfg)
	}
}

func TestStateDirDefault(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, map[string]string{"HOME": "/root", "XDG_STATE_HOME": "/x"}, "/var/lib/berth"},
		{1, map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "/x"}, "/x/berth"},
		{1, map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "x"}, "/home/a/.local/state/berth"},
		{1, map[string]string{"HOME": "/home/a"}, "/home/a/.local/state/berth"},
	} {
		cfg, diags := Parse(nil, "config.hcl", fixed(c.env), func(s *system) { s.uid = c.uid })
		if len(diags) > 0 || cfg.StateDir != c.want || cfg.Control.Socket != c.want+"/berth.sock" {
			t.Errorf("%+v: %v %+v", c, diags, cfg)
		}
	}
	_, diags := Parse(nil, "config.hcl", fixed(nil), func(s *system) { s.uid = 1 })
	if !strings.HasPrefix(diags.Error(), "config.hcl:1:1: error: state_dir is missing") {
		t.Error(diags)
	}
}

// The longest path that the system can bind is accepted, one byte more is not.
func TestSocketLength(t *testing.T) {
	for goos, most := range map[string]int{"linux": 107, "darwin": 103} {
		for _, n := range []int{most, most + 1} {
			src := "control {\n  socket = \"/" + strings.Repeat("s", n-1) + "\"\n}\n"
			_, diags := Parse([]byte(src), "config.hcl", fixed(nil), func(s *system) { s.goos = goos })
			if diags.HasErrors() != (n > most) {
				t.Errorf("%s, %d bytes: %v", goos, n, diags)
			}
		}
	}
}

// So is the longest state_dir in which plugins have sockets; also when it is the default.
func TestStateDirLength(t *testing.T) {
	for goos, most := range map[string]int{"linux": 65, "darwin": 61} {
		for _, n := range []int{most, most + 1} {
			dir := "/" + strings.Repeat("s", n-1)
			_, diags := Parse([]byte("state_dir = \""+dir+"\"\ncontrol {\n  socket = \"/s\"\n}\n"), "config.hcl", fixed(nil), func(s *system) { s.goos = goos })
			if diags.HasErrors() != (n > most) {
				t.Errorf("%s, %d bytes: %v", goos, n, diags)
			}
			home := map[string]string{"XDG_STATE_HOME": strings.TrimSuffix(dir, "ssssss")}
			_, diags = Parse(nil, "config.hcl", fixed(home), func(s *system) { s.goos, s.uid = goos, 1 })
			if diags.HasErrors() != (n > most) || diags.HasErrors() && !strings.Contains(diags.Error(), "the default of state_dir, must be at most") {
				t.Errorf("%s, %d bytes by default: %v", goos, n, diags)
			}
		}
	}
}

// Texts that drive a parser deep into itself are answered, not died of.
func TestDeepText(t *testing.T) {
	const long = 1 << 18
	for name, src := range map[string]string{
		"parentheses":  "owner = " + strings.Repeat("(", long),
		"brackets":     "owner = " + strings.Repeat("[", long),
		"blocks":       strings.Repeat("a {\n", long/4),
		"templates":    "owner = " + strings.Repeat(`"${`, long/3),
		"minus":        "owner = " + strings.Repeat("-", long),
		"minus lines":  "owner = (" + strings.Repeat("-\n", long/2),
		"not":          "owner = " + strings.Repeat("!", long),
		"conditionals": "owner = " + strings.Repeat("1?1:", long/4),
		"sum":          "owner = 1" + strings.Repeat("+1", long/2),
		"index":        "owner = a" + strings.Repeat("[0]", long/3),
		"path":         "owner = a" + strings.Repeat(".a", long/2),
		"compare":      "owner = 1" + strings.Repeat("==1", long/3),
		"calls":        "owner = " + strings.Repeat("env(", long/4),
		"exponent":     "template \"a\" {\n ttl = \"${1e999999999}\"\n}",
		"exponents":    "owner = \"${\"1e999999999\" * 1}${\"1e-999999999\" / 2}\"",
	} {
		t.Run(name, func(t *testing.T) {
			if _, diags := Parse([]byte(src), "config.hcl", fixed(nil)); !diags.HasErrors() {
				t.Error("accepted")
			}
		})
	}
}
