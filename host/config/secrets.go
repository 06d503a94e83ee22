package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// secrets are what no finding may show: where sensitive values stand in the file, and
// what they are.
type secrets struct {
	ranges []hcl.Range
	texts  []string
}

// shortest is the length from which a secret is looked for in a plugin's own words.
const shortest = 4

// collect gathers the secrets of a config block. A setting that is not known counts as
// one: it may be a sensitive one's name with a slip in it.
func (s *secrets) collect(block *hclsyntax.Block, c *compiled, constants *hcl.EvalContext) {
	if block != nil {
		s.body(block.Body, c, constants)
	}
}

func (s *secrets) body(body *hclsyntax.Body, c *compiled, constants *hcl.EvalContext) {
	for name, attr := range body.Attributes {
		a, known := c.find(name)
		if known && !a.Sensitive {
			continue
		}
		s.ranges = append(s.ranges, attr.Expr.Range())
		if v, diags := attr.Expr.Value(constants); known && !diags.HasErrors() {
			s.values(v)
		}
	}
	for _, b := range body.Blocks {
		if inner := c.blocks[b.Type]; inner != nil {
			s.body(b.Body, inner, constants)
			continue
		}
		s.ranges = append(s.ranges, hcl.RangeBetween(b.OpenBraceRange, b.CloseBraceRange))
	}
}

func (s *secrets) values(v cty.Value) {
	switch {
	case v.IsNull() || !v.IsKnown():
	case v.Type() == cty.String:
		if text := v.AsString(); len(text) >= shortest {
			s.texts = append(s.texts, text)
		}
	case v.CanIterateElements():
		for _, e := range v.Elements() {
			s.values(e)
		}
	}
}

// strip takes the secrets out of a plugin's text.
func (s *secrets) strip(text string) string {
	if s == nil {
		return text
	}
	for _, secret := range s.texts {
		text = strings.ReplaceAll(text, secret, hiddenText)
	}
	return text
}

// tame makes a plugin's text one line without control characters, at most so many
// characters long.
func tame(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return s
}
