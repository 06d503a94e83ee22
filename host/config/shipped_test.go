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
	"github.com/berth-dev/berth/plugins/process"
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
	paths := append([]string{cfg.StateDir, cfg.Control.Socket}, cfg.VolumeRoots...)
	for _, template := range cfg.Templates {
		ev, err := template.Evaluate(Session{ChatID: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ev.Mounts {
			paths = append(paths, m.Source)
		}
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
	seen := map[string]bool{} // the first provider and template have all that there is
	for _, b := range root.Blocks {
		if seen[b.Type] {
			continue
		}
		seen[b.Type] = true
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

	src = regexp.MustCompile(`(?s)\n\s*tcp [^\n]*(.*http = )`).ReplaceAll(src, []byte("$1")) // which stands in its place
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

// Every setting of both providers is in the file, and nothing that they do not have.
func TestShippedShowsTheProvidersSettings(t *testing.T) {
	_, root := uncommented(t)
	for name, plugin := range map[string]provider.Plugin{"docker": docker.Plugin(), "process": process.Plugin()} {
		schemas := schemasOf(t, plugin)
		for block, schema := range map[string]provider.Schema{"provider": schemas.Provider, "template": schemas.Sandbox} {
			outer := blockOf(root, block, name)
			if outer == nil {
				t.Fatalf("there is no block %s for %s", block, name)
			}
			config := firstBlock(outer.Body, "config")
			if config == nil {
				t.Fatalf("%s for %s has no block config", block, name)
			}
			showsSchema(t, block+"'s config for "+name, config.Body, schema)
		}
	}
}

// schemasOf are the settings of a provider, from itself.
func schemasOf(t *testing.T, plugin provider.Plugin) provider.Schemas {
	t.Helper()
	schemas, err := plugin.Schemas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(schemas.Provider.Attributes) == 0 || len(schemas.Sandbox.Attributes) == 0 {
		t.Fatalf("the provider has no settings: %+v", schemas)
	}
	return schemas
}

// blockOf is the provider's block, or the first template that uses it.
func blockOf(root *hclsyntax.Body, block, provider string) *hclsyntax.Block {
	for _, b := range root.Blocks {
		if b.Type != block {
			continue
		}
		if block == "provider" && b.Labels[0] == provider {
			return b
		}
		if a, ok := b.Body.Attributes["provider"]; ok && block == "template" {
			if v, diags := a.Expr.Value(nil); !diags.HasErrors() && v.AsString() == provider {
				return b
			}
		}
	}
	return nil
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
