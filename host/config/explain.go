package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/berth-dev/berth/sdk/provider"
)

// maxFindings bounds what is shown of a plugin's findings.
const maxFindings = 100

// Explain puts a plugin's findings on the lines that they are about. The error is
// [Diagnostics], warnings included, and nil when there are only warnings; see
// [Provider.Findings]. It may be called by any number of goroutines.
func (p *Provider) Explain(found provider.Diagnostics) error {
	return p.Findings(found).Err()
}

// Findings is Explain for a caller who wants the warnings too.
func (p *Provider) Findings(found provider.Diagnostics) Diagnostics {
	s := p.secrets.Load()
	r := &report{file: p.file, hidden: configValues(p.file.body)}
	if s != nil {
		r.hidden = s.ranges
	}
	for i, d := range found {
		if i == maxFindings {
			severity := provider.SeverityWarning
			if found[i:].HasErrors() {
				severity = provider.SeverityError
			}
			r.add(severity, p.block.DefRange(), fmt.Sprintf("%d more findings of the plugin are not shown", len(found)-i), "")
			break
		}
		severity := provider.SeverityError
		if d.Severity == provider.SeverityWarning {
			severity = provider.SeverityWarning
		}
		rng, missed := p.locate(d)
		summary := tame(s.strip(d.Summary), 400)
		if summary == "" {
			summary = "the plugin refuses the configuration and does not say why"
		}
		if missed != "" && !strings.Contains(summary, missed[strings.LastIndexByte(missed, '.')+1:]) {
			summary += " (" + tame(missed, 200) + ")"
		}
		var lines []string
		for line := range strings.SplitSeq(s.strip(d.Detail), "\n") {
			if line = tame(line, 400); line != "" && len(lines) < 20 {
				lines = append(lines, line)
			}
		}
		r.add(severity, rng, summary, strings.Join(lines, "\n"))
	}
	return r.diags.sorted()
}

// locate finds the place of a finding. What it could not follow of the path is in missed.
func (p *Provider) locate(d provider.Diagnostic) (rng hcl.Range, missed string) {
	outer, config := p.block, p.config()
	if d.Template != "" {
		outer = nil
		for _, t := range p.templates {
			if t.Name == d.Template {
				outer, config = t.block, t.configBlock()
			}
		}
		if outer == nil {
			return p.block.DefRange(), fmt.Sprintf("template %q", d.Template)
		}
	}
	path := d.Path
	body, at := (*hclsyntax.Body)(nil), outer.DefRange()
	if config != nil {
		body, at = config.Body, config.DefRange()
	}
	if len(path) > 0 && (path[0] == "template" || strings.HasPrefix(path[0], "template.")) && d.Template != "" {
		body, at = outer.Body, outer.DefRange()
		first := strings.Split(path[0], ".")[1:]
		path = append(first, path[1:]...)
	}
	return follow(body, at, path)
}

// follow walks a path of blocks, their labels or numbers, and at last an attribute.
func follow(body *hclsyntax.Body, at hcl.Range, path []string) (rng hcl.Range, missed string) {
	for i := 0; i < len(path); i++ {
		if body == nil {
			return at, strings.Join(path[i:], ".")
		}
		if attr, ok := body.Attributes[path[i]]; ok {
			return valueAt(attr.Expr, path[i+1:]), ""
		}
		var blocks []*hclsyntax.Block
		for _, b := range body.Blocks {
			if b.Type == path[i] {
				blocks = append(blocks, b)
			}
		}
		if len(blocks) == 0 {
			return at, strings.Join(path[i:], ".")
		}
		chosen := blocks[0]
		if i+1 < len(path) {
			if n, ok := index(path[i+1]); ok && n < len(blocks) {
				chosen, i = blocks[n], i+1
			} else {
				for _, b := range blocks {
					if len(b.Labels) > 0 && b.Labels[0] == path[i+1] {
						chosen, i = b, i+1
						break
					}
				}
			}
		}
		body, at = chosen.Body, chosen.DefRange()
	}
	return at, ""
}

// valueAt returns the range of an element of a value, or of the value.
func valueAt(expr hclsyntax.Expression, path []string) hcl.Range {
	if len(path) == 0 {
		return expr.Range()
	}
	if n, ok := index(path[0]); ok {
		return element(expr, n)
	}
	return entry(expr, path[0])
}
