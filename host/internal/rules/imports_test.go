package rules

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/berth-dev/berth/"

// rule forbids imports, with the reason.
type rule struct {
	from    string // package path prefix, without the module
	never   string // import path prefix; without a dot in its first element: of the module
	except  []string
	deep    bool     // also through other packages
	but     []string // packages that may, for the reason that because tells
	because string
}

var rules = []rule{
	{from: "sdk/provider", never: "*", deep: true, because: "the contract is for every author: the standard library alone"},
	{from: "sdk/providertest/mem", never: "google.golang.org/", deep: true, because: "what most tests use stays small"},
	{from: "sdk", never: "host", deep: true, because: "a provider's author does not compile the host"},
	{from: "sdk", never: "plugins", deep: true, because: "the SDK knows no provider"},
	{from: "sdk", never: "github.com/docker/", deep: true, because: "a provider's author does not compile Docker's client"},
	{from: "sdk", never: "github.com/hashicorp/hcl", deep: true, because: "schemas are our own; the host alone knows HCL"},
	{from: "sdk", never: "github.com/prometheus/", deep: true, because: "a provider has no metrics endpoint"},
	{from: "sdk", never: "go.etcd.io/bbolt", deep: true, because: "a provider holds no state that matters"},
	{from: "host", never: "plugins", deep: true, because: "the host knows providers through the boundary alone"},
	{from: "plugins", never: "host", deep: true, because: "a provider knows the host through the boundary alone"},
	{from: "plugins", never: "sdk/launch", deep: true, but: []string{"plugins/docker/cmd/berth-provider-docker", "plugins/mock/cmd/berth-provider-mock", "plugins/process/cmd/berth-provider-process"},
		because: "launching is the host's; a binary alone launches itself, to put itself to the conformance suite"},
	{from: "host/internal", never: "host", except: []string{"host/internal", "host/config"}, because: "arrows run one way: host imports its rooms"},
	{from: "host/internal/lifecycle", never: "host", except: []string{"host/internal/api", "host/internal/ids", "host/internal/lease", "host/internal/lifecycle"}, because: "the engine stands on leases and the contract"},
	{from: "host/internal/api", never: "*", except: []string{"sdk/provider"}, deep: true, because: "the words that every side shares: the standard library and the contract"},
	{from: "host/internal/lifecycle", never: "google.golang.org/", deep: true, because: "the engine runs under testing/synctest: no gRPC"},
	{from: "host/internal/lifecycle", never: "github.com/hashicorp/", deep: true, because: "the engine runs under testing/synctest: no HCL, no go-plugin"},
	{from: "host/internal/lifecycle", never: "github.com/prometheus/", deep: true, because: "the engine tells an observer, not Prometheus"},
	{from: "host/client", never: "host", except: []string{"host/client", "host/internal/api", "host/internal/control/convert"}, deep: true, because: "a program beside a host does not compile the host: words and conversions alone"},
	{from: "host/client", never: "go.etcd.io/bbolt", deep: true, because: "a client holds no leases"},
	{from: "host/client", never: "github.com/hashicorp/", deep: true, because: "a client reads no configuration and starts no plugin"},
	{from: "host/client", never: "github.com/docker/", deep: true, because: "a client knows no provider"},
	{from: "host/client", never: "github.com/prometheus/", deep: true, because: "a client has no metrics"},
	{from: "host/client", never: "google.golang.org/grpc", deep: true, because: "a client speaks Connect, which needs no gRPC"},
	{from: "host/internal/supervisor", never: "host/config", deep: true, because: "settings come to the supervisor as an interface"},
	{from: "host", never: "github.com/docker/docker", deep: true, because: "what is Docker's is behind the boundary"},
}

// onlyImporters says who alone may import something directly.
var onlyImporters = []struct {
	of      string
	by      []string
	because string
}{
	{module + "proto/provider", []string{"sdk/internal/wire"}, "conversion is in one walled place"},
	{module + "proto/control", []string{"host/internal/control", "host/internal/control/convert", "host/client"}, "the API's messages stay at its two ends"},
	{"connectrpc.com", []string{"host/internal/control", "host/internal/control/convert", "host/client", "proto/control/v1/controlv1connect"}, "the API's protocol stays at its two ends"},
	{"github.com/hashicorp/hcl/v2", []string{"host/config"}, "host/config alone knows HCL"},
	{"github.com/zclconf/go-cty", []string{"host/config"}, "host/config alone knows HCL's values"},
	{"go.etcd.io/bbolt", []string{"host/internal/lease"}, "leases alone are on disk"},
	{"github.com/hashicorp/go-plugin", []string{"sdk", "sdk/internal/wire", "sdk/launch"}, "go-plugin stays behind the SDK"},
	{"github.com/spf13/cobra", []string{"host/internal/cli"}, "the command line is one room"},
	{module + "host/internal/cli", []string{"host/cmd/berth"}, "cmd → cli → host"},
}

// exceptions are allowed in spite of a rule above, each for a reason.
var exceptions = map[string]string{
	"host/internal/cli": "the command line stands on host: cmd → cli → host",
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestImportRules(t *testing.T) {
	packages := list(t)
	standard := standardLibrary(t)
	for _, r := range rules {
		seen := false
		for _, p := range packages {
			if !within(p.name(), r.from) {
				continue
			}
			seen = true
			if slices.Contains(r.but, p.name()) {
				continue
			}
			if _, ok := exceptions[p.name()]; ok && r.from == "host/internal" {
				continue
			}
			imports := p.Imports
			if r.deep {
				imports = p.Deps
			}
			for _, i := range imports {
				if r.forbids(i, p.ImportPath, standard) {
					t.Errorf("%s must not import %s: %s", p.name(), i, r.because)
				}
			}
		}
		if !seen {
			t.Errorf("the rule about %s holds for no package: is its name still right?", r.from)
		}
	}
}

func (r rule) forbids(imported, by string, standard map[string]bool) bool {
	if imported == "C" || standard[imported] || imported == by {
		return false
	}
	name, mine := strings.CutPrefix(imported, module)
	if r.never == "*" {
		return !slices.ContainsFunc(r.except, func(e string) bool { return mine && within(name, e) })
	}
	if !mine {
		return strings.Contains(r.never, ".") && strings.HasPrefix(imported, r.never)
	}
	if slices.ContainsFunc(r.except, func(e string) bool { return within(name, e) }) {
		return false
	}
	return within(name, r.never)
}

func TestOnlyImporters(t *testing.T) {
	for _, p := range list(t) {
		for _, only := range onlyImporters {
			for _, i := range p.Imports {
				if (i == only.of || strings.HasPrefix(i, only.of+"/")) && !strings.HasPrefix(p.ImportPath, strings.TrimSuffix(only.of, "/")) &&
					!slices.Contains(only.by, p.name()) {
					t.Errorf("%s must not import %s, only %s may: %s", p.name(), i, strings.Join(only.by, ", "), only.because)
				}
			}
		}
	}
}

// TestTopLevel holds the layout that is relied on from outside.
func TestTopLevel(t *testing.T) {
	fixed := []string{"host", "plugins", "sdk", "examples", "proto", "config.hcl", "Makefile", "go.mod", "go.sum", "README.md", "LICENSE"}
	built := []string{"bin"} // ignored by git
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(fixed, name) && !slices.Contains(built, name) {
			t.Errorf("%s is at the top level, which holds %s and dotfiles alone", name, strings.Join(fixed, ", "))
		}
	}
}

// TestEveryDependencyHasItsReason: each direct dependency has a line in host/README.md.
func TestEveryDependencyHasItsReason(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root(t), "host", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	mod := struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}{}
	if err := json.Unmarshal(run(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Require) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	for _, r := range mod.Require {
		if !r.Indirect && !strings.Contains(string(readme), "| `"+r.Path+"` |") {
			t.Errorf("host/README.md does not say why %s is there", r.Path)
		}
	}
}

func within(name, prefix string) bool { return name == prefix || strings.HasPrefix(name, prefix+"/") }

// list describes what is shipped: tests may import what they test with.
func list(t *testing.T) []pkg {
	return decode(t, run(t, "list", "-json=ImportPath,Imports,Deps,Standard", "./..."))
}

func standardLibrary(t *testing.T) map[string]bool {
	set := map[string]bool{"unsafe": true}
	for line := range strings.Lines(string(run(t, "list", "std"))) {
		set[strings.TrimSpace(line)] = true
	}
	for _, p := range decode(t, run(t, "list", "-deps", "-json=ImportPath,Standard", "std")) {
		set[p.ImportPath] = true
	}
	return set
}

func decode(t *testing.T, out []byte) []pkg {
	t.Helper()
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
