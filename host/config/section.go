package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// names are the settings and blocks that a block may have.
type names struct {
	attrs  []string
	blocks []string
	many   []string // of blocks: those that may stand more than once
	labels []string // of blocks: those that have one label
}

// The blocks of a configuration file. What the parser reads is here, and only that.
var (
	rootNames = names{
		attrs:  []string{"state_dir", "owner", "plugin_dir", "volume_roots"},
		blocks: []string{"control", "metrics", "lifecycle", "provider", "template"},
		many:   []string{"provider", "template"},
		labels: []string{"provider", "template"},
	}
	controlNames   = names{attrs: []string{"socket"}}
	metricsNames   = names{attrs: []string{"address"}}
	lifecycleNames = names{attrs: []string{
		"sweep_interval", "stop_grace", "create_timeout", "recovery_grace", "ended_retention",
		"max_ttl", "max_lifetime", "max_sessions", "max_creating", "max_reaping",
	}}
	providerNames = names{
		attrs:  []string{"command", "sha256", "required", "adopt", "accept_backend", "env"},
		blocks: []string{"config"},
	}
	templateNames = names{
		attrs:  []string{"provider", "image", "command", "network", "port", "endpoint", "ttl", "env"},
		blocks: []string{"limits", "mount", "resources", "ready", "config"},
		many:   []string{"mount"},
		labels: []string{"mount"},
	}
	limitsNames    = names{attrs: []string{"sessions", "sessions_per_agent"}}
	mountNames     = names{attrs: []string{"source", "target", "read_only", "create", "owner", "mode"}}
	resourcesNames = names{attrs: []string{"memory", "cpus", "pids", "swap"}}
	readyNames     = names{attrs: []string{"tcp", "http", "timeout"}}
)

// homes are the blocks of a file, for telling where a misplaced setting belongs.
var homes = []struct {
	block string
	names names
}{
	{"control", controlNames},
	{"metrics", metricsNames},
	{"lifecycle", lifecycleNames},
	{"provider", providerNames},
	{"template", templateNames},
	{"limits", limitsNames},
	{"mount", mountNames},
	{"resources", resourcesNames},
	{"ready", readyNames},
}

// home returns the block that has a setting of that name, when there is exactly one.
func home(name string) string {
	found := ""
	for _, h := range homes {
		if slices.Contains(h.names.attrs, name) {
			if found != "" {
				return ""
			}
			found = h.block
		}
	}
	return found
}

// section is one block while it is read. What it may not have was reported by open.
type section struct {
	*reader
	body   *hclsyntax.Body
	header hcl.Range // where a missing setting is reported
}

// open checks the names of a block. The zero block is the file itself.
func (r *reader) open(body *hclsyntax.Body, header hcl.Range, known names) *section {
	r.unknown(body, known)
	r.blocks(body, known)
	return &section{reader: r, body: body, header: header}
}

// unknown reports settings and blocks that have no meaning here.
func (r *report) unknown(body *hclsyntax.Body, known names) {
	for name, attr := range body.Attributes {
		switch {
		case slices.Contains(known.attrs, name):
		case slices.Contains(known.blocks, name):
			r.fail(attr.NameRange, fmt.Sprintf("%s is a block, not a setting", name), "Write it without the equals sign: "+example(name, known)+".")
		case home(name) != "" && near(name, known.attrs) == "":
			r.fail(attr.NameRange, fmt.Sprintf("unknown setting %q", name), "It belongs in the block "+home(name)+".")
		default:
			r.fail(attr.NameRange, fmt.Sprintf("unknown setting %q", name), hint(name, slices.Concat(known.attrs, known.blocks), "setting"))
		}
	}
	for _, b := range body.Blocks {
		switch {
		case slices.Contains(known.blocks, b.Type):
		case slices.Contains(known.attrs, b.Type):
			r.fail(b.TypeRange, fmt.Sprintf("%s is a setting, not a block", b.Type), "Write it with an equals sign: "+b.Type+" = …")
		default:
			detail := "There are no blocks here."
			if n := near(b.Type, slices.Concat(known.blocks, known.attrs)); n != "" {
				detail = fmt.Sprintf("Did you mean %q?", n)
			} else if len(known.blocks) > 0 {
				detail = "Known here: " + list(known.blocks) + "."
			}
			r.fail(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), detail)
		}
	}
}

// blocks reports wrong labels and blocks that may stand only once.
func (r *report) blocks(body *hclsyntax.Body, known names) {
	first := map[string]hcl.Range{}
	for _, b := range body.Blocks {
		if !slices.Contains(known.blocks, b.Type) {
			continue
		}
		key := b.Type
		if !slices.Contains(known.labels, b.Type) {
			if len(b.Labels) > 0 {
				r.fail(b.LabelRanges[0], fmt.Sprintf("a %s block has no name", b.Type), "Write "+example(b.Type, known)+".")
			}
		} else {
			switch {
			case len(b.Labels) == 0:
				r.fail(b.TypeRange, fmt.Sprintf("a %s block needs a name", b.Type), "Write "+example(b.Type, known)+".")
				continue
			case len(b.Labels) > 1:
				r.fail(b.LabelRanges[1], fmt.Sprintf("a %s block has one name, not %d", b.Type, len(b.Labels)), "Write "+example(b.Type, known)+".")
			case !labelPattern.MatchString(b.Labels[0]):
				r.must(b.LabelRanges[0], "the name of a "+b.Type, nameLimit, quote(b.Labels[0]), "")
			}
			key += " " + b.Labels[0]
		}
		if slices.Contains(known.many, b.Type) && !slices.Contains(known.labels, b.Type) {
			continue // any number, without names
		}
		if at, twice := first[key]; twice {
			r.fail(b.DefRange(), title(b)+" is there twice", fmt.Sprintf("The first is at %s:%d:%d. Remove one of them.", r.file.name, at.Start.Line, at.Start.Column))
			continue
		}
		first[key] = b.DefRange()
	}
}

// example shows the header of a block.
func example(block string, known names) string {
	if slices.Contains(known.labels, block) {
		return block + " \"name\" { … }"
	}
	return block + " { … }"
}

// attr returns a setting, or nil.
func (s *section) attr(name string) *hclsyntax.Attribute { return s.body.Attributes[name] }

// sub opens the first block of that type. It is nil when there is none.
func (s *section) sub(name string, known names) *section {
	if b := firstBlock(s.body, name); b != nil {
		return s.open(b.Body, b.DefRange(), known)
	}
	return nil
}

// firstBlock returns the first block of that type, or nil.
func firstBlock(body *hclsyntax.Body, name string) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if b.Type == name {
			return b
		}
	}
	return nil
}

// missing reports a setting that must be there.
func (s *section) missing(name, remedy string) {
	s.fail(s.header, fmt.Sprintf("%s is missing", name), remedy)
}
