package deploy

import (
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/berth-dev/berth/host/config"
)

// service is the part of a Compose file that is used here. Anything else is refused.
type service struct {
	Image       string
	NetworkMode string `yaml:"network_mode"`
	Environment map[string]string
	Volumes     []struct {
		Type, Source, Target string
		Bind                 struct {
			CreateHostPath *bool `yaml:"create_host_path"`
		}
	}
	Tmpfs           []string
	CapDrop         []string `yaml:"cap_drop"`
	CapAdd          []string `yaml:"cap_add"`
	SecurityOpt     []string `yaml:"security_opt"`
	ReadOnly        bool     `yaml:"read_only"`
	Init            bool
	Restart         string
	StopGracePeriod string `yaml:"stop_grace_period"`
}

func readCompose(t *testing.T) service {
	t.Helper()
	var file struct {
		Name     string
		Services map[string]service
	}
	decodeYAML(t, "compose.yaml", &file)
	s, ok := file.Services["berth"]
	if !ok || len(file.Services) != 1 || file.Name != "berth" {
		t.Fatalf("compose.yaml: %+v", file)
	}
	return s
}

var variable = regexp.MustCompile(`\$\{([A-Z_]+):-([^}]*)\}`)

// interpolate does what Compose does with ${NAME:-default}.
func interpolate(text string, env map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(m string) string {
		parts := variable.FindStringSubmatch(m)
		if v := env[parts[1]]; v != "" {
			return v
		}
		return parts[2]
	})
}

// container is the service as the daemon's API takes it.
func (s service) container(env map[string]string) (*container.Config, *container.HostConfig) {
	c := &container.Config{Image: s.Image}
	for name, value := range s.Environment {
		c.Env = append(c.Env, name+"="+interpolate(value, env))
	}
	h := &container.HostConfig{
		NetworkMode: container.NetworkMode(s.NetworkMode), ReadonlyRootfs: s.ReadOnly, Init: &s.Init,
		CapDrop: s.CapDrop, CapAdd: s.CapAdd, SecurityOpt: s.SecurityOpt, Tmpfs: map[string]string{},
	}
	for _, v := range s.Volumes {
		h.Mounts = append(h.Mounts, mount.Mount{Type: mount.Type(v.Type), Source: interpolate(v.Source, env), Target: interpolate(v.Target, env)})
	}
	for _, tmp := range s.Tmpfs {
		dir, options, _ := strings.Cut(tmp, ":")
		h.Tmpfs[dir] = options
	}
	return c, h
}

// The Compose file, the Dockerfile and config.hcl name the same things.
func TestComposeFitsTheOthers(t *testing.T) {
	s, cfg := readCompose(t), shipped(t)
	c, h := s.container(nil)
	root := path.Dir(cfg.StateDir)
	sources := map[string]string{}
	for i, m := range h.Mounts {
		sources[m.Source] = m.Target
		if create := s.Volumes[i].Bind.CreateHostPath; m.Type != mount.TypeBind || create == nil || *create {
			t.Errorf("the mount of %s lets the daemon make it, as root", m.Source)
		}
	}
	if sources[root] != root {
		t.Errorf("%s is mounted at %q: the daemon takes mount sources as paths of the machine", root, sources[root])
	}
	if sources["/var/run/docker.sock"] != "/var/run/docker.sock" {
		t.Errorf("the daemon's socket is not where its client looks: %v", sources)
	}
	for name, want := range map[string]string{
		"BERTH_ROOT": root, "BERTH_METRICS": cfg.Metrics.Address,
		"BERTH_IMAGE": cfg.Template("default").Image, "BERTH_NETWORK": cfg.Template("default").Network,
	} {
		if !slices.Contains(c.Env, name+"="+want) {
			t.Errorf("%s is not %s, as in config.hcl: %v", name, want, c.Env)
		}
	}
	config, err := os.ReadFile("config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.Environment {
		if !strings.Contains(string(config), `env("`+name+`"`) {
			t.Errorf("config.hcl reads no %s", name)
		}
	}
	if h.NetworkMode != "host" || !slices.Contains(h.CapAdd, "CHOWN") || !slices.Equal(h.CapDrop, []string{"ALL"}) || !h.ReadonlyRootfs || !*h.Init {
		t.Errorf("the container: %+v", h)
	}
	if !slices.Contains(strings.Split(h.Tmpfs["/tmp"], ","), "exec") {
		t.Errorf("/tmp is %q: without exec no plugin runs from it", h.Tmpfs["/tmp"])
	}
	if grace, err := time.ParseDuration(s.StopGracePeriod); err != nil || grace < 30*time.Second {
		t.Errorf("stop_grace_period: %q %v", s.StopGracePeriod, err)
	}
	docker, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"FROM scratch\n", "COPY examples/deploy/config.hcl /etc/berth/config.hcl\n", `"--config", "/etc/berth/config.hcl"]`} {
		if !strings.Contains(string(docker), word) {
			t.Errorf("the Dockerfile lacks %q", word)
		}
	}
}

// This folder's config.hcl says what the one at the root does, without the provider that
// needs no Docker.
func TestConfigFitsTheShipped(t *testing.T) {
	own, root := loaded(t, "config.hcl"), loaded(t, filepath.Join("..", "..", "config.hcl"))
	if len(own.Providers) != 1 || len(own.Templates) != 1 {
		t.Errorf("%d providers and %d templates", len(own.Providers), len(own.Templates))
	}
	mine, theirs := own.Template("default"), root.Template("default")
	for name, pair := range map[string][2]any{
		"state_dir":    {own.StateDir, root.StateDir},
		"volume_roots": {own.VolumeRoots, root.VolumeRoots},
		"control":      {own.Control, root.Control},
		"metrics":      {own.Metrics, root.Metrics},
		"lifecycle":    {own.Lifecycle, root.Lifecycle},
		"limits":       {mine.Limits, theirs.Limits},
		"resources":    {mine.Resources, theirs.Resources},
		"ready":        {mine.Ready, theirs.Ready},
		"the rest":     {evaluated(t, mine), evaluated(t, theirs)},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %+v here, %+v at the root", name, pair[0], pair[1])
		}
	}
}

func evaluated(t *testing.T, template *config.Template) any {
	t.Helper()
	ev, err := template.Evaluate(config.Session{ID: "s", ChatID: "c", Volume: "/v"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}
