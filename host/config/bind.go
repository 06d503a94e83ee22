package config

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/berth-dev/berth/sdk/provider"
)

// bound is what Bind made of one pair of schemas.
type bound struct {
	request provider.ValidateRequest
}

// Bind decodes the provider's config block and those of its templates by the schemas that
// the plugin tells. Defaults are filled in and constraints checked; values are JSON. The
// error is [Diagnostics] when the file is at fault, else it says what is wrong with the
// schemas. After a success [Provider.Bound] and [Template.SandboxConfig] answer with the
// result; after a failure they keep the earlier one. Bind may be called by any number of
// goroutines.
func (p *Provider) Bind(schemas provider.Schemas) (provider.ValidateRequest, error) {
	own, err := compile(schemas.Provider, 0)
	if err != nil {
		return provider.ValidateRequest{}, fmt.Errorf("provider %q: the plugin's provider schema is wrong: %w", p.Name, err)
	}
	sandbox, err := compile(schemas.Sandbox, 0)
	if err != nil {
		return provider.ValidateRequest{}, fmt.Errorf("provider %q: the plugin's sandbox schema is wrong: %w", p.Name, err)
	}

	// Everything that is secret is known before the first finding shows a line.
	var s secrets
	s.collect(p.config(), own, p.reader.constants)
	for _, t := range p.templates {
		s.collect(t.configBlock(), sandbox, p.reader.constants)
	}
	p.secrets.Store(&s)

	r := *p.reader
	r.report = &report{file: p.file, hidden: s.ranges}
	req := provider.ValidateRequest{
		Sandboxes: map[string][]byte{},
		Templates: map[string]provider.TemplateInfo{},
	}
	req.Config = r.decode(p.config(), p.block, own)
	for _, t := range p.templates {
		req.Sandboxes[t.Name] = r.decode(t.configBlock(), t.block, sandbox)
		req.Templates[t.Name] = t.info()
	}
	if diags := r.diags.sorted(); diags.HasErrors() {
		return provider.ValidateRequest{}, diags
	}
	for _, t := range p.templates {
		config := req.Sandboxes[t.Name]
		t.config.Store(&config)
	}
	p.bound.Store(&bound{request: req})
	return req, nil
}

// Bound returns what the last successful Bind returned. The answer must not be changed.
func (p *Provider) Bound() (provider.ValidateRequest, bool) {
	if b := p.bound.Load(); b != nil {
		return b.request, true
	}
	return provider.ValidateRequest{}, false
}

// SandboxConfig returns the values of the template's config block, a JSON object, as the
// last successful [Provider.Bind] made them; nil before the first. It must not be changed.
func (t *Template) SandboxConfig() []byte {
	if c := t.config.Load(); c != nil {
		return *c
	}
	return nil
}

func (p *Provider) config() *hclsyntax.Block      { return firstBlock(p.block.Body, "config") }
func (t *Template) configBlock() *hclsyntax.Block { return firstBlock(t.block.Body, "config") }

// info tells a provider what the template says beside its config block.
func (t *Template) info() provider.TemplateInfo {
	info := provider.TemplateInfo{Image: t.Image, Network: t.Network, Port: t.Port, Publish: t.Publish}
	r := *t.reader
	r.report = &report{file: t.file}
	for _, m := range t.mounts {
		mount := provider.Mount{Name: m.name, Target: m.target, ReadOnly: m.readOnly}
		if m.constant {
			evaluated, ok := r.mount(r.constants, m)
			if !ok {
				continue // its source is null
			}
			mount.Source = evaluated.Source
		}
		info.Mounts = append(info.Mounts, mount)
	}
	return info
}

// decode makes one config block's values, or those of a block that is not there.
func (r *reader) decode(block, outer *hclsyntax.Block, c *compiled) []byte {
	body, header := &hclsyntax.Body{SrcRange: outer.DefRange(), EndRange: outer.DefRange()}, outer.DefRange()
	if block != nil {
		body, header = block.Body, block.DefRange()
	}
	before := len(r.diags)
	r.judge(body, header, c)
	if r.diags[before:].HasErrors() {
		return nil
	}
	v, diags := hcldec.Decode(body, c.spec, r.constants)
	r.hcl(diags)
	if diags.HasErrors() {
		return nil
	}
	out, err := ctyjson.Marshal(v, hcldec.ImpliedType(c.spec))
	if err != nil {
		r.fail(header, "the values can't be written as JSON: "+err.Error(), "")
		return nil
	}
	return out
}

// judge reports all that is wrong with a block's values.
func (r *reader) judge(body *hclsyntax.Body, header hcl.Range, c *compiled) {
	s := r.open(body, header, c.names)
	for _, a := range c.schema.Attributes {
		r.judgeAttr(s, a, c)
	}
	for _, b := range c.schema.Blocks {
		found := false
		for _, block := range body.Blocks {
			if block.Type == b.Name {
				found = true
				r.judge(block.Body, block.DefRange(), c.blocks[b.Name])
			}
		}
		if b.Required && !found {
			s.missing("block "+b.Name, sentence(b.Doc))
		}
	}
}

func (r *reader) judgeAttr(s *section, a provider.Attribute, c *compiled) {
	attr := s.attr(a.Name)
	if attr == nil {
		if a.Required {
			s.missing(a.Name, missingRemedy(a))
		}
		return
	}
	ty, _, _ := ctyType(a.Type)
	before := len(r.diags)
	v, ok := r.constant(attr.Expr, a.Name, ty, kind(a.Type))
	switch {
	case len(r.diags) > before:
	case !ok && a.Required:
		r.must(attr.Expr.Range(), a.Name, kind(a.Type), "null", missingRemedy(a))
	case ok && !v.Type().IsPrimitiveType():
		for key, e := range v.Elements() {
			if limit, remedy := constrainText(a, c.patterns[a.Name], e.AsString()); limit != "" {
				r.must(elementAt(attr.Expr, key), at(a.Name, key), limit, describe(e), remedy)
			}
		}
	case ok:
		if limit, remedy := constrain(a, c.patterns[a.Name], v); limit != "" {
			r.must(attr.Expr.Range(), a.Name, limit, describe(v), remedy)
		}
	}
	if a.Sensitive {
		r.silence(before, a)
	}
}

// elementAt returns the range of an element of a list or a map.
func elementAt(expr hclsyntax.Expression, key cty.Value) hcl.Range {
	if key.Type() == cty.String {
		return entry(expr, key.AsString())
	}
	n, _ := key.AsBigFloat().Int64()
	return element(expr, int(n))
}

// silence takes the value out of the findings about a sensitive attribute.
func (r *reader) silence(from int, a provider.Attribute) {
	for i := from; i < len(r.diags); i++ {
		d := &r.diags[i]
		d.Summary = a.Name + " can't be used: it must be " + kind(a.Type)
		if len(a.OneOf) > 0 || a.Min != nil || a.Max != nil || a.Pattern != "" {
			d.Summary += " within the limits of the schema"
		}
		d.Detail = "The value is not shown, because the setting is sensitive."
	}
}

// missingRemedy tells how to set an attribute.
func missingRemedy(a provider.Attribute) string {
	if doc := sentence(a.Doc); doc != "" {
		return doc
	}
	return "Set " + a.Name + " to " + kind(a.Type) + "."
}

// sentence makes a plugin's text fit to be shown.
func sentence(s string) string {
	s = tame(s, 400)
	if s != "" && s[len(s)-1] != '.' {
		s += "."
	}
	return s
}

// index reads a block's number in a path.
func index(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}
