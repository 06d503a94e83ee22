package config

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/berth-dev/berth/plugins/docker"
	"github.com/berth-dev/berth/sdk/provider"
)

// mustParse reads a file that has no fault.
func mustParse(t *testing.T, src string) *Config {
	t.Helper()
	cfg, diags := Parse([]byte(src), "config.hcl", fixed(museumEnv))
	if diags.HasErrors() {
		t.Fatal(diags.Error())
	}
	return cfg
}

func values(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return m
}

func TestBindDefaults(t *testing.T) {
	cfg := mustParse(t, `provider "docker" {}
template "a" {
  provider = "docker"
  config { runtime = "runc" }
}`)
	req, err := cfg.Provider("docker").Bind(testSchemas())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"pull": "missing", "allow": []any{}, "labels": map[string]any{}, "verbose": false,
		"retries": 3.0, "ratio": 0.25, "timeout": "5s", "token": "",
		"log":      map[string]any{"max_size": "10MiB", "max_files": 3.0},
		"registry": []any{},
	}
	if got := values(t, req.Config); !reflect.DeepEqual(got, want) {
		t.Errorf("config %v\nwant   %v", got, want)
	}
	if got, want := values(t, req.Sandboxes["a"]), map[string]any{"runtime": "runc", "user": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("sandbox %v, want %v", got, want)
	}
}

func TestBindEveryType(t *testing.T) {
	cfg := mustParse(t, `provider "docker" {
  config {
    pull    = "never"
    allow   = ["host_network", "docker_socket"]
    labels  = { a = "1", b = 2 }
    verbose = true
    retries = 2 * 5
    ratio   = 1e-3
    timeout = "1h30m"
    token   = "abc-123"
    log {
      max_size = "1.5MiB"
    }
    registry {
      host     = "one"
      password = "x"
    }
    registry {
      host = "two"
    }
  }
}`)
	req, err := cfg.Provider("docker").Bind(testSchemas())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"pull": "never", "allow": []any{"host_network", "docker_socket"},
		"labels": map[string]any{"a": "1", "b": "2"}, "verbose": true,
		"retries": 10.0, "ratio": 0.001, "timeout": "1h30m", "token": "abc-123",
		"log": map[string]any{"max_size": "1.5MiB", "max_files": 3.0},
		"registry": []any{
			map[string]any{"host": "one", "password": "x"},
			map[string]any{"host": "two", "password": ""},
		},
	}
	if got := values(t, req.Config); !reflect.DeepEqual(got, want) {
		t.Errorf("config %v\nwant   %v", got, want)
	}
}

// A 64-bit integer keeps every digit on its way through HCL and JSON.
func TestBindLargeInt(t *testing.T) {
	schemas := provider.Schemas{Provider: provider.Schema{Attributes: []provider.Attribute{{Name: "n", Type: provider.TypeInt}}}}
	for _, n := range []string{"9223372036854775807", "-9223372036854775808", "9007199254740993"} {
		req, err := mustParse(t, `provider "x" { `+"\nconfig {\n n = "+n+"\n}\n}").Provider("x").Bind(schemas)
		if err != nil {
			t.Errorf("%s: %v", n, err)
		} else if want := `{"n":` + n + `}`; string(req.Config) != want {
			t.Errorf("%s, want %s", req.Config, want)
		}
	}
	if _, err := mustParse(t, "provider \"x\" {\nconfig {\n n = 9223372036854775808\n}\n}").Provider("x").Bind(schemas); err == nil {
		t.Error("2^63 was taken for 64 bits")
	}
}

// A block that demands something is null when it is left out; one that does not has its
// defaults.
func TestBindAbsentBlocks(t *testing.T) {
	inner := func(required bool) provider.Schema {
		return provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeString, Required: required}}}
	}
	schemas := provider.Schemas{Provider: provider.Schema{Blocks: []provider.Block{
		{Name: "demanding", Schema: inner(true)},
		{Name: "modest", Schema: inner(false)},
	}}}
	req, err := mustParse(t, `provider "x" {}`).Provider("x").Bind(schemas)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(req.Config), `{"demanding":null,"modest":{"a":""}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	schemas.Provider.Blocks[0].Required = true
	_, err = mustParse(t, `provider "x" {}`).Provider("x").Bind(schemas)
	if err == nil || !strings.Contains(err.Error(), "config.hcl:1:1: error: block demanding is missing") {
		t.Errorf("%v", err)
	}
}

func TestBindTemplateInfo(t *testing.T) {
	cfg := mustParse(t, `provider "docker" {}
template "a" {
  provider = "docker"
  image    = "i"
  network  = "n"
  port     = 80
  endpoint = "published"
  mount "fixed" {
    source    = "/srv/x/"
    target    = "/x"
    read_only = true
  }
  mount "chat" {
    source = "/srv/chats/${session.chat_id}"
    target = "/chat"
  }
  mount "gone" {
    source = null
    target = "/gone"
  }
  config { runtime = "runc" }
}
template "other" {
  provider = "second"
}
provider "second" {}`)
	req, err := cfg.Provider("docker").Bind(testSchemas())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]provider.TemplateInfo{"a": {
		Image: "i", Network: "n", Port: 80, Publish: true,
		Mounts: []provider.Mount{
			{Name: "fixed", Source: "/srv/x", Target: "/x", ReadOnly: true},
			{Name: "chat", Target: "/chat"},
		},
	}}
	if !reflect.DeepEqual(req.Templates, want) {
		t.Errorf("templates %+v\nwant      %+v", req.Templates, want)
	}
}

// What Bind made is kept for readers; a later failure does not take it away.
func TestBindKeepsItsLastSuccess(t *testing.T) {
	cfg := mustParse(t, `provider "docker" {}
template "a" {
  provider = "docker"
  config { runtime = "runc" }
}`)
	p, template := cfg.Provider("docker"), cfg.Template("a")
	if _, ok := p.Bound(); ok || template.SandboxConfig() != nil {
		t.Error("there is a result before the first Bind")
	}
	if _, err := p.Bind(testSchemas()); err != nil {
		t.Fatal(err)
	}
	other := testSchemas()
	other.Sandbox.Attributes[0].Name = "engine"
	var diags Diagnostics
	if _, err := p.Bind(other); !errors.As(err, &diags) || !diags.HasErrors() {
		t.Fatalf("another schema was accepted: %v", err)
	}
	if req, ok := p.Bound(); !ok || string(req.Sandboxes["a"]) != string(template.SandboxConfig()) || template.SandboxConfig() == nil {
		t.Errorf("the last success is gone: %v %s", ok, template.SandboxConfig())
	}
}

// A plugin whose schema makes no sense is told apart from a file that has a fault.
func TestBindRefusesWrongSchemas(t *testing.T) {
	str := func(a provider.Attribute) provider.Schema {
		if a.Name == "" {
			a.Name = "a"
		}
		if a.Type == "" {
			a.Type = provider.TypeString
		}
		return provider.Schema{Attributes: []provider.Attribute{a}}
	}
	deep := provider.Schema{}
	for range 10 {
		deep = provider.Schema{Blocks: []provider.Block{{Name: "b", Schema: deep}}}
	}
	inf := 1.0
	inf /= inf - 1
	for name, c := range map[string]struct {
		schema provider.Schema
		want   string
	}{
		"name":             {str(provider.Attribute{Name: "Not-Snake"}), `attribute "Not-Snake": the name is no snake case`},
		"type":             {str(provider.Attribute{Type: "complex"}), `attribute "a": unknown type "complex"`},
		"default type":     {str(provider.Attribute{Default: []byte(`[1]`)}), `attribute "a": the default [1] is no string`},
		"default no JSON":  {str(provider.Attribute{Default: []byte(`{`)}), `attribute "a": the default { is no string`},
		"default limit":    {str(provider.Attribute{Default: []byte(`"x"`), OneOf: []string{"y"}}), `attribute "a": the default "x" is not "y"`},
		"default duration": {str(provider.Attribute{Type: provider.TypeDuration, Default: []byte(`"5"`)}), `attribute "a": the default "5" is not a duration with a unit`},
		"pattern":          {str(provider.Attribute{Pattern: "("}), `attribute "a": pattern: error parsing regexp`},
		"infinite":         {str(provider.Attribute{Max: &inf}), `attribute "a": min and max must be finite`},
		"twice": {provider.Schema{
			Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeString}},
			Blocks:     []provider.Block{{Name: "a"}},
		}, `block "a": the name is there twice`},
		"deep": {deep, "blocks are nested more than 8 deep"},
	} {
		for _, schemas := range []provider.Schemas{{Provider: c.schema}, {Sandbox: c.schema}} {
			_, err := mustParse(t, `provider "x" {}`).Provider("x").Bind(schemas)
			var diags Diagnostics
			if err == nil || errors.As(err, &diags) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `provider "x": the plugin's `) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
}

func TestBindAndReadersTogether(t *testing.T) {
	cfg := mustParse(t, string(shipped(t)))
	schemas := schemasOf(t, docker.Plugin())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := cfg.Provider("docker").Bind(schemas); err != nil {
					t.Error(err)
				}
				if _, err := cfg.Template("default").Evaluate(Session{ChatID: "c", Volume: "/v"}); err != nil {
					t.Error(err)
				}
				_ = cfg.Template("default").SandboxConfig()
				_ = cfg.Provider("docker").Explain(provider.Diagnostics{{Summary: "x", Path: []string{"pull"}}})
			}
		})
	}
	wg.Wait()
}
