package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// site is the place of one test: directories, a configuration, an owner id. Hosts come and
// go on it.
type site struct {
	t      testing.TB
	dir    string
	owner  string
	on     backend
	within func(func() error) error // runs what starts a process; nil: nothing is special

	port    string            // of the agent
	targets map[string]string // where sandboxes see the mounts, by the names of these
}

var sites atomic.Int64

// newSite makes a place on the shared daemon. Whatever its owner has there goes with the
// test.
func newSite(t testing.TB) *site {
	t.Helper()
	return dockerKind.site(t)
}

// bareSite makes a place that has no sandboxes behind Berth's back.
func bareSite(t testing.TB) *site {
	t.Helper()
	n := sites.Add(1)
	s := &site{t: t, dir: filepath.Join(world.root, fmt.Sprint(n)), owner: fmt.Sprintf("e2e%s-%d", world.run, n), port: "8000",
		targets: map[string]string{"chat": "/workspace/chat", "dependencies": "/workspace/dependencies",
			"lambda-tools": "/workspace/lambda-tools", "volume": "/workspace/volume"}}
	for _, dir := range []string{"", "chats", "dependencies", "lambda-tools", "volumes"} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.on = &onDocker{s}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// begin starts a process.
func (s *site) begin(cmd *exec.Cmd) error {
	if s.within == nil {
		return cmd.Start()
	}
	return s.within(cmd.Start)
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// real is path with symlinks resolved.
func (s *site) real(name string) string {
	s.t.Helper()
	path, err := filepath.EvalSymlinks(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// link puts a symlink in the place of a directory, which goes elsewhere.
func (s *site) link(name string) {
	s.t.Helper()
	there := s.path("the-" + name)
	if err := os.Rename(s.path(name), there); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(there, s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

// volume makes a directory that a request may bring along.
func (s *site) volume() string {
	s.t.Helper()
	if err := os.Mkdir(s.path("volumes/mine"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return s.path("volumes/mine")
}

// owners are the owner ids that hosts of this place have had: the configured one, and the
// one that a host has made for itself.
func (s *site) owners() []string {
	owners := []string{s.owner}
	if made, err := os.ReadFile(s.path("state/owner")); err == nil {
		owners = append(owners, strings.TrimSpace(string(made)))
	}
	return owners
}

// settings are what a test wants different from the place's usual configuration. Values
// are HCL.
type settings struct {
	top       map[string]string // of the file; "" leaves one out
	lifecycle map[string]string
	provider  string            // more lines in the provider's block
	template  map[string]string // of template "default"; "" leaves one out
	blocks    string            // more blocks in it
	more      string            // more blocks in the file
	noDocker  bool              // not the place's provider and no template
	bare      bool              // template "default" has no mounts, and is ready when it runs
}

// configure writes the place's configuration.
func (s *site) configure(c settings) *site {
	s.t.Helper()
	text := attributes(map[string]string{
		"state_dir": quote(s.path("state")), "owner": quote(s.owner), "plugin_dir": quote(world.bin),
		"volume_roots": "[" + quote(s.path("volumes")) + "]",
	}, c.top)
	text += "metrics {\n  address = \"127.0.0.1:0\"\n}\n"
	text += "lifecycle {\n" + attributes(map[string]string{
		"sweep_interval": `"2s"`, "stop_grace": `"2s"`, "create_timeout": `"1m"`,
	}, c.lifecycle) + "}\n"
	if !c.noDocker {
		text += s.on.block(c.provider)
		text += "template \"default\" {\n" + attributes(s.on.usual(), c.template) + s.on.needed() + c.blocks
		if !c.bare {
			text += s.mounts()
		}
		text += "}\n"
	}
	s.write("config.hcl", text+c.more)
	return s
}

// variant is one more template, like the usual one but for what is given.
func (s *site) variant(name string, template map[string]string, blocks string) string {
	return "template " + quote(name) + " {\n" + attributes(s.on.usual(), template) + s.on.needed() + blocks + "}\n"
}

// mounts are the four of a deployment.
func (s *site) mounts() string {
	return `
  mount "chat" {
    source = "` + s.path("chats") + `/${session.chat_id}"
    target = "` + s.targets["chat"] + `"
    create = true
  }
  mount "dependencies" {
    source    = "` + s.path("dependencies") + `"
    target    = "` + s.targets["dependencies"] + `"
    read_only = true
  }
  mount "lambda-tools" {
    source    = "` + s.path("lambda-tools") + `"
    target    = "` + s.targets["lambda-tools"] + `"
    read_only = true
  }
  mount "volume" {
    source = session.volume
    target = "` + s.targets["volume"] + `"
  }
  ready {
    tcp     = true
    timeout = "40s"
  }
  resources {
    memory = "128MiB"
  }
`
}

// ready is a readiness block for a variant.
const readyTCP = "ready {\n  tcp = true\n  timeout = \"40s\"\n}\n"

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// entries are the names in a directory of the place.
func (s *site) entries(dir string) []string {
	s.t.Helper()
	list, err := os.ReadDir(s.path(dir))
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// attributes writes those of usual, and over them those of changed.
func attributes(usual, changed map[string]string) string {
	maps.Copy(usual, changed)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(usual)) {
		if usual[name] != "" {
			fmt.Fprintf(&b, "  %s = %s\n", name, usual[name])
		}
	}
	return b.String()
}

func quote(text string) string { return `"` + text + `"` }

// chat asks for a session of template "default", for a chat of its own.
func chat() host.CreateRequest {
	return host.CreateRequest{Template: "default", ChatID: uuid.NewString(), AgentID: "writer"}
}
