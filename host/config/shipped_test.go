package config

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/berth-dev/berth/plugins/docker"
	"github.com/berth-dev/berth/sdk/provider"
)

func shipped(t *testing.T) []byte {
	t.Helper()
	src, err := os.ReadFile("../../config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestShippedIsFormatted(t *testing.T) {
	if src := shipped(t); !bytes.Equal(hclwrite.Format(src), src) {
		t.Errorf("config.hcl is not formatted; it should read:\n%s", hclwrite.Format(src))
	}
}

func TestShippedParses(t *testing.T) {
	cfg, diags := Parse(shipped(t), "config.hcl", fixed(nil))
	if len(diags) > 0 {
		t.Fatal(diags.Error())
	}
	if cfg.StateDir != "/var/lib/berth/state" || cfg.Metrics.Address != "127.0.0.1:9464" {
		t.Errorf("state_dir %q, metrics %q", cfg.StateDir, cfg.Metrics.Address)
	}
	if cfg.Lifecycle != DefaultLifecycle() {
		t.Errorf("the lifecycle block shows other values than the defaults: %+v", cfg.Lifecycle)
	}
	template := cfg.Template("default")
	if template.Resources != defaultResources() {
		t.Errorf("the resources block shows other values than the defaults: %+v", template.Resources)
	}
	ev, err := template.Evaluate(Session{ChatID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for _, m := range ev.Mounts {
		mounts = append(mounts, m.Name+" "+m.Source)
	}
	want := []string{"chat /var/lib/berth/chats/c1", "dependencies /var/lib/berth/dependencies", "lambda-tools /var/lib/berth/lambda-tools"}
	if !slices.Equal(mounts, want) {
		t.Errorf("mounts %q, want %q", mounts, want)
	}
}

// With BERTH_ROOT set, no path of the file lies outside it: a trial run overwrites nothing.
func TestShippedStaysBelowItsRoot(t *testing.T) {
	cfg, diags := Parse(shipped(t), "config.hcl", fixed(map[string]string{"BERTH_ROOT": "/trial"}))
	if len(diags) > 0 {
		t.Fatal(diags.Error())
	}
	ev, err := cfg.Template("default").Evaluate(Session{ChatID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	paths := append([]string{cfg.StateDir, cfg.Control.Socket}, cfg.VolumeRoots...)
	for _, m := range ev.Mounts {
		paths = append(paths, m.Source)
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, "/trial/") {
			t.Errorf("%s lies outside BERTH_ROOT", p)
		}
	}
}

// commented is a setting behind a "#".
var commented = regexp.MustCompile(`(?m)^(\s*)# (\w+ *= .*)$`)

// Every setting that the parser knows is in the file, and each that stands behind a "#"
// works when the "#" is taken away.
func TestShippedIsComplete(t *testing.T) {
	src, root := uncommented(t)
	shows(t, "the file", root, rootNames)
	for _, b := range root.Blocks {
		for _, h := range homes {
			if h.block == b.Type {
				shows(t, b.Type, b.Body, h.names)
			}
		}
		if b.Type != "template" {
			continue
		}
		mounts := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
		for _, inner := range b.Body.Blocks {
			for _, h := range homes {
				switch {
				case inner.Type == "mount":
					for name, a := range inner.Body.Attributes {
						mounts.Attributes[name] = a
					}
				case h.block == inner.Type:
					shows(t, inner.Type, inner.Body, h.names)
				}
			}
		}
		shows(t, "the mounts", mounts, mountNames)
	}

	src = regexp.MustCompile(`(?m)^\s*tcp .*$`).ReplaceAll(src, nil) // http stands in its place
	if _, diags := Parse(src, "config.hcl", fixed(nil)); len(diags) > 0 {
		t.Error(diags.Error())
	}
}

// uncommented is the file without the "#" before settings.
func uncommented(t *testing.T) ([]byte, *hclsyntax.Body) {
	t.Helper()
	src := commented.ReplaceAll(shipped(t), []byte("$1$2"))
	f, diags := hclsyntax.ParseConfig(src, "config.hcl", hcl.Pos{Line: 1, Column: 1})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return src, f.Body.(*hclsyntax.Body)
}

// Every setting of the Docker provider is in the file, and nothing that it does not have.
func TestShippedShowsDockersSettings(t *testing.T) {
	schemas := dockerSchemas(t)
	_, root := uncommented(t)
	for block, schema := range map[string]provider.Schema{"provider": schemas.Provider, "template": schemas.Sandbox} {
		outer := firstBlock(root, block)
		if outer == nil {
			t.Fatalf("there is no block %s", block)
		}
		config := firstBlock(outer.Body, "config")
		if config == nil {
			t.Fatalf("%s has no block config", block)
		}
		showsSchema(t, block+"'s config", config.Body, schema)
	}
}

// dockerSchemas are the settings of the Docker provider, from itself.
func dockerSchemas(t *testing.T) provider.Schemas {
	t.Helper()
	schemas, err := docker.Plugin().Schemas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(schemas.Provider.Attributes) == 0 || len(schemas.Sandbox.Attributes) == 0 {
		t.Fatalf("the Docker provider has no settings: %+v", schemas)
	}
	return schemas
}

// showsSchema compares a block with the schema of its plugin, both ways.
func showsSchema(t *testing.T, where string, body *hclsyntax.Body, schema provider.Schema) {
	t.Helper()
	c, err := compile(schema, 0)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, where, body, c.names)
	for name := range body.Attributes {
		if _, ok := c.find(name); !ok {
			t.Errorf("%s shows %s, which the plugin does not have", where, name)
		}
	}
	for _, b := range body.Blocks {
		if c.blocks[b.Type] == nil {
			t.Errorf("%s shows the block %s, which the plugin does not have", where, b.Type)
		}
	}
	for _, b := range schema.Blocks {
		if inner := firstBlock(body, b.Name); inner != nil {
			showsSchema(t, where+"'s "+b.Name, inner.Body, b.Schema)
		}
	}
}

func shows(t *testing.T, where string, body *hclsyntax.Body, want names) {
	t.Helper()
	for _, name := range want.attrs {
		if _, ok := body.Attributes[name]; !ok {
			t.Errorf("%s does not show %s", where, name)
		}
	}
	for _, name := range want.blocks {
		if firstBlock(body, name) == nil {
			t.Errorf("%s does not show the block %s", where, name)
		}
	}
}
