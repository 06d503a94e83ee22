package docker

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/sdk/provider"
)

// Issue item 4: hardened by default, as the daemon sees it and as the kernel does.
func TestHardenedByDefault(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{CapAdd: []string{"NET_BIND_SERVICE"}})
	created := r.create(r.newSpec())
	h := r.inspectRaw(created.Sandbox.ID).HostConfig
	if !slices.Equal(h.CapDrop, []string{"ALL"}) || len(h.CapAdd) != 1 || strings.TrimPrefix(h.CapAdd[0], "CAP_") != "NET_BIND_SERVICE" {
		t.Errorf("capabilities: drop %v, add %v", h.CapDrop, h.CapAdd)
	}
	if !slices.Contains(h.SecurityOpt, "no-new-privileges") || slices.ContainsFunc(h.SecurityOpt, func(s string) bool { return strings.Contains(s, "unconfined") }) {
		t.Errorf("security options: %v", h.SecurityOpt)
	}
	if h.Init == nil || !*h.Init || h.Privileged || h.AutoRemove || h.RestartPolicy.Name != container.RestartPolicyDisabled {
		t.Errorf("init %v, privileged %v, auto-remove %v, restart %q", h.Init, h.Privileged, h.AutoRemove, h.RestartPolicy.Name)
	}
	if h.PidMode != "" || h.IpcMode != container.IPCModePrivate || h.UsernsMode != "" || len(h.Devices) != 0 || len(h.PortBindings) != 0 {
		t.Errorf("pid %q, ipc %q, userns %q, devices %v, ports %v", h.PidMode, h.IpcMode, h.UsernsMode, h.Devices, h.PortBindings)
	}
	if h.Memory != 64<<20 || h.NanoCPUs != 5e8 || h.PidsLimit == nil || *h.PidsLimit != 64 {
		t.Errorf("memory %d, cpus %d, pids %v", h.Memory, h.NanoCPUs, h.PidsLimit)
	}
	info, err := r.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.SwapLimit && h.MemorySwap != h.Memory {
		t.Errorf("swap: %d beside memory %d", h.MemorySwap, h.Memory)
	}
	if h.LogConfig.Type != "json-file" || h.LogConfig.Config["max-size"] != "10485760" || h.LogConfig.Config["max-file"] != "3" {
		t.Errorf("log: %+v", h.LogConfig)
	}
	status := r.get(created.Sandbox.Endpoint, "/read/proc/self/status")
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000400"} {
		if !strings.Contains(status, want) {
			t.Errorf("the kernel does not say %q of the agent:\n%s", want, status)
		}
	}
}

// Issue item 4: endpoint "published" is 127.0.0.1 and a port that the daemon picks.
func TestPublishedEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(func(s *provider.Spec) { s.Publish = true })
	created := r.create(spec)
	e := created.Sandbox.Endpoint
	if e == nil || e.IP != "127.0.0.1" || e.Port == 8000 || e.Port == 0 {
		t.Fatalf("endpoint %+v", e)
	}
	r.get(e, "/healthz")
	s, _ := r.listed(created.Sandbox.ID)
	if s == nil || s.Endpoint == nil || *s.Endpoint != *e {
		t.Errorf("listed as %+v", s)
	}
	c := r.inspectRaw(created.Sandbox.ID)
	if c.Config.Labels["endpoint_port"] != "8000" {
		t.Errorf("endpoint_port is %q, want the container's port", c.Config.Labels["endpoint_port"])
	}
	for _, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if ip := net.ParseIP(b.HostIP); ip == nil || !ip.IsLoopback() {
				t.Errorf("a port is on the outside address %q", b.HostIP)
			}
		}
	}
}

// Promise 8: what is unsafe is refused with a reason, and nothing is made.
func TestPromise8_UnsafeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	dir := t.TempDir()
	link := filepath.Join(dir, "innocent")
	if err := os.Symlink("/var/run/docker.sock", link); err != nil {
		t.Fatal(err)
	}
	mount := func(source string) func(*provider.Spec) {
		return func(s *provider.Spec) { s.Mounts = []provider.Mount{{Name: "x", Source: source, Target: "/x"}} }
	}
	for _, test := range []struct {
		name   string
		change func(*provider.Spec)
		class  provider.Class
		text   string
	}{
		{"host network", func(s *provider.Spec) { s.Network = "host" }, provider.InvalidArgument, `allow = ["host_network"]`},
		{"another container's network", func(s *provider.Spec) { s.Network = "container:x" }, provider.InvalidArgument, "another container's"},
		{"the socket", mount("/var/run/docker.sock"), provider.InvalidArgument, `allow = ["docker_socket"]`},
		{"its directory", mount("/var/run"), provider.InvalidArgument, "docker.sock"},
		{"the root", mount("/"), provider.InvalidArgument, "docker.sock"},
		{"a symlink to it", mount(link), provider.InvalidArgument, "docker.sock"},
		{"a missing runtime", sandboxConfig(`{"runtime":"no-such-runtime"}`), provider.Unsupported, `"no-such-runtime" does not exist at the daemon, which has`},
		{"no memory limit", func(s *provider.Spec) { s.Resources.MemoryBytes = 0 }, provider.InvalidArgument, "memory is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := r.newSpec(func(s *provider.Spec) { s.Digest = imageID(t, world.image); test.change(s) })
			_, err := r.Create(t.Context(), spec)
			wantFailure(t, err, test.class, codeStart, spec.ChatID, test.text)
			r.wantNothing(spec)
		})
	}
}

// The operator may allow it.
func TestAllow(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Allow: []string{"host_network", "docker_socket"}})
	spec := r.newSpec(func(s *provider.Spec) {
		s.Network, s.Port = "host", 0
		s.Mounts = []provider.Mount{{Name: "x", Source: "/var/run/docker.sock", Target: "/var/run/docker.sock"}}
	}, command("/agent", "-never-listen"))
	if created := r.create(spec); created.Sandbox.State != provider.StateRunning {
		t.Errorf("it is %s", created.Sandbox.State)
	}
}

// Swap that must be limited is refused where the daemon can't.
func TestSwapRequire(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	info, err := r.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info.SwapLimit = false
	_, refused := resourcesOf(provider.Resources{MemoryBytes: 1 << 26, NanoCPUs: 1e9, Pids: 10, Swap: provider.SwapRequire}, info)
	if refused == nil || refused.Class != provider.Unsupported || !strings.Contains(refused.Message, `swap is "require"`) {
		t.Errorf("got %v", refused)
	}
	if _, refused := resourcesOf(provider.Resources{MemoryBytes: 1 << 26, NanoCPUs: 1e9, Pids: 10, Swap: provider.SwapAuto}, info); refused != nil {
		t.Errorf("auto: %v", refused)
	}
	found := false
	for _, l := range limitations(info) {
		found = found || l.Name == "swap"
	}
	if !found {
		t.Error("the limitation is not told")
	}
	info.PidsLimit = false
	if _, refused := resourcesOf(provider.Resources{MemoryBytes: 1 << 26, NanoCPUs: 1e9, Pids: 10}, info); refused == nil || refused.Class != provider.Unsupported {
		t.Errorf("pids that can't be enforced: %v", refused)
	}
}

// What the settings alone refuse, without asking the daemon.
func TestValidate(t *testing.T) {
	t.Parallel()
	good := provider.TemplateInfo{Image: "sandbox:latest", Network: "sandbox", Port: 8000}
	with := func(change func(*provider.TemplateInfo)) map[string]provider.TemplateInfo {
		info := good
		change(&info)
		return map[string]provider.TemplateInfo{"t": info}
	}
	for _, test := range []struct {
		name      string
		config    Config
		templates map[string]provider.TemplateInfo
		text      string // "": it is fine
	}{
		{"fine", Config{Pull: "missing", CapAdd: []string{"CHOWN", "cap_setuid"}}, with(func(*provider.TemplateInfo) {}), ""},
		{"always", Config{Pull: "always"}, with(func(*provider.TemplateInfo) {}), ""},
		{"sometimes", Config{Pull: "sometimes"}, nil, `pull is "sometimes"`},
		{"all capabilities", Config{CapAdd: []string{"ALL"}}, nil, "undoes the hardening"},
		{"no capability", Config{CapAdd: []string{"FLY"}}, nil, `"FLY", which is no Linux capability`},
		{"unknown permission", Config{Allow: []string{"privileged"}}, nil, `allow holds "privileged"`},
		{"no image", Config{}, with(func(i *provider.TemplateInfo) { i.Image = "" }), "image is empty"},
		{"bad image", Config{}, with(func(i *provider.TemplateInfo) { i.Image = "UPPER:x" }), "is no image's name"},
		{"no network", Config{}, with(func(i *provider.TemplateInfo) { i.Network = "" }), "network is empty"},
		{"host network", Config{}, with(func(i *provider.TemplateInfo) { i.Network = "host" }), `network "host" is refused`},
		{"socket", Config{}, with(func(i *provider.TemplateInfo) {
			i.Mounts = []provider.Mount{{Name: "s", Source: "/var/run/docker.sock", Target: "/s"}}
		}), "gives root on the host"},
		{"socket allowed", Config{Allow: []string{"docker_socket"}}, with(func(i *provider.TemplateInfo) {
			i.Mounts = []provider.Mount{{Name: "s", Source: "/var/run/docker.sock", Target: "/s"}}
		}), ""},
	} {
		found := validate(test.config, test.templates)
		if test.text == "" {
			if len(found) != 0 {
				t.Errorf("%s: %+v", test.name, found)
			}
			continue
		}
		if len(found) != 1 || !found.HasErrors() || !strings.Contains(found[0].Summary, test.text) || found[0].Detail == "" {
			t.Errorf("%s: %+v", test.name, found)
		}
	}
	if _, err := New(Config{Pull: "sometimes"}, Options{}); !errors.Is(err, provider.InvalidArgument) {
		t.Errorf("New: %v", err)
	}
}
