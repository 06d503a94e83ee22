package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host"
)

// listenerEnv makes this test binary the program in a sandbox of the example provider.
const listenerEnv = "BERTH_E2E_LISTENER"

func init() {
	if os.Getenv(listenerEnv) != "" {
		os.Exit(listener())
	}
}

// listener serves HTTP on the listener that it was handed, by the convention of
// sd_listen_fds(3), and tells what it was given.
func listener() int {
	if os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_PID") != fmt.Sprint(os.Getpid()) {
		fmt.Println("no listener was handed over: LISTEN_FDS is", os.Getenv("LISTEN_FDS"), "and LISTEN_PID is", os.Getenv("LISTEN_PID"))
		return 1
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving on", l.Addr())
	fmt.Println(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "agent %s, %d arguments, pid %d", os.Getenv("AGENT_ID"), len(os.Args)-1, os.Getpid())
	})))
	return 1
}

// withExample builds the provider of examples/provider, which is a module of its own, and
// writes a configuration for it alone.
func (s *site) withExample(lifecycle map[string]string, ttl string) string {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	plugin := s.path("berth-provider-example")
	cmd := exec.CommandContext(s.t.Context(), "go", "build", "-o", plugin, ".")
	cmd.Dir = filepath.Join("..", "..", "examples", "provider")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("go build in %s: %v\n%s", cmd.Dir, err, text)
	}
	s.configure(settings{noDocker: true, lifecycle: lifecycle, more: fmt.Sprintf(`
provider "example" {
  command = %q
  config {
    dir        = %q
    unconfined = true
  }
}
template "default" {
  provider = "example"
  image    = %q
  command  = ["one", "two"]
  env      = { %s = "1" }
  port     = 8000
  ttl      = %q
  ready {
    http = "/"
  }
}
`, plugin, s.path("sandboxes"), self, listenerEnv, ttl)})
	return plugin
}

// The third-party provider runs a sandbox behind berth serve: it answers at its endpoint,
// outlives plugin and host, is found again by the next ones, and is gone after its deadline.
func TestPromise2_ExampleProvider(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	s.withExample(map[string]string{"sweep_interval": `"1s"`}, "12s")
	d := s.serve(world.bin)
	v := d.made(chat())
	if v.Status != host.StatusRunning || v.Endpoint == nil || v.Endpoint.IP != "127.0.0.1" {
		t.Fatalf("%+v", v)
	}
	was, err := try(v, "/")
	if err != nil || !strings.HasPrefix(was, "agent writer, 2 arguments, pid ") {
		t.Errorf("the sandbox answers %q, %v", was, err)
	}
	if names := s.entries("sandboxes"); len(names) != 2 {
		t.Errorf("the provider's directory has %q, want the identity and one sandbox", names)
	}
	wantWords(t, "berth providers", s.berth(0, "providers"), "example", "ready", "plain processes", "example can't enforce here:", "isolation: ")

	d.kill9(s)
	if now, err := try(v, "/"); err != nil || now != was {
		t.Errorf("without host and plugin the sandbox answers %q, %v; want %q", now, err, was)
	}
	d = s.serve(world.bin)
	d.asIs(v)
	if now, err := try(v, "/"); err != nil || now != was {
		t.Errorf("for the next host the sandbox answers %q, %v; want %q", now, err, was)
	}
	await(t, patience, "its deadline has passed and it has ended", func() bool {
		now := d.now(v.ID)
		return now.Status == host.StatusEnded && now.Ended.Reason == host.ReasonExpired
	})
	if _, err := try(v, "/"); err == nil {
		t.Error("it still answers")
	}
	if names := s.entries("sandboxes"); len(names) != 1 {
		t.Errorf("the provider's directory has %q, want the identity alone", names)
	}
	d.terminate()
}

// What only the plugin can know of a configuration is told with its place.
func TestPromise8_ExampleProviderRefuses(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	plugin := s.withExample(nil, "1m")
	text, err := os.ReadFile(s.path("config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.NewReplacer("unconfined = true", "unconfined = false", `ttl      = "1m"`, "ttl = \"1m\"\n  network = \"lan\"").Replace(string(text))
	s.write("config.hcl", wrong)
	cmd := exec.CommandContext(t.Context(), filepath.Join(world.bin, "berth"), "validate", "--config", s.path("config.hcl"))
	cmd.Env = append(os.Environ(), "TMPDIR="+tempDir())
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("it is valid:\n%s", out)
	}
	wantWords(t, "berth validate", string(out), "unconfined is false", "write unconfined = true", `this provider joins no network, and "lan" is asked for`, "config.hcl:")

	// By hand, without a host, the binary says the same.
	byHand := exec.CommandContext(t.Context(), plugin, "validate", "-")
	byHand.Stdin = strings.NewReader(`{"config": {"dir": "/d", "unconfined": false}, "templates": {"default": {"image": "/bin/true", "network": "lan"}}}`)
	byHand.Env = []string{}
	out, err = byHand.CombinedOutput()
	if err == nil {
		t.Errorf("it is valid:\n%s", out)
	}
	wantWords(t, "validate by hand", string(out), "error: config.unconfined: unconfined is false", `error: templates.default.network: this provider joins no network, and "lan" is asked for`)
}

// The configuration in the tutorial is valid, with the plugin that it is about.
func TestSdkReadmeConfiguration(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	plugin := s.withExample(nil, "1m")
	for _, readme := range []string{"../../sdk/README.md", "../../examples/provider/README.md"} {
		text, err := os.ReadFile(readme)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, there := strings.Cut(string(text), "```hcl\n")
		block, _, closed := strings.Cut(rest, "\n```")
		if !there || !closed || !strings.Contains(block, "/usr/local/bin/berth-provider-example") {
			t.Fatalf("%s has no configuration", readme)
		}
		s.write("config.hcl", "state_dir = "+quote(s.path("state"))+"\n"+strings.ReplaceAll(block, "/usr/local/bin/berth-provider-example", plugin)+"\n")
		wantWords(t, readme, s.berth(0, "validate"), "is valid: 1 provider, 1 template")
	}
}
