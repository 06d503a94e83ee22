package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// eachConfigValue visits the values in config blocks.
func eachConfigValue(root *hclsyntax.Body, visit func(*hclsyntax.Attribute)) {
	var all func(*hclsyntax.Body)
	all = func(b *hclsyntax.Body) {
		for _, a := range b.Attributes {
			visit(a)
		}
		for _, inner := range b.Blocks {
			all(inner.Body)
		}
	}
	for _, outer := range root.Blocks {
		for _, b := range outer.Body.Blocks {
			if b.Type == "config" {
				all(b.Body)
			}
		}
	}
}

// configValues are the values in config blocks. Until the provider's schema is known any
// of them may be a secret.
func configValues(root *hclsyntax.Body) []hcl.Range {
	var out []hcl.Range
	eachConfigValue(root, func(a *hclsyntax.Attribute) { out = append(out, a.Expr.Range()) })
	return out
}

// references reports what is wrong with the values in config blocks whatever their schema
// is: names that mean nothing, and expressions that have no value.
func (r *reader) references() {
	eachConfigValue(r.file.body, func(a *hclsyntax.Attribute) {
		if r.names(a.Expr, a.Name, false) {
			_, diags := a.Expr.Value(r.constants)
			r.hcl(diags)
		}
	})
}

// quotedInConfig are the quoted texts in config blocks of a file that can't be parsed.
func quotedInConfig(tokens hclsyntax.Tokens) []hcl.Range {
	var out []hcl.Range
	depth, from := 0, -1
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			depth++
			if from < 0 && i > 0 && string(tokens[i-1].Bytes) == "config" {
				from = depth
			}
		case hclsyntax.TokenCBrace:
			if depth == from {
				from = -1
			}
			depth--
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			if from >= 0 {
				out = append(out, t.Range)
			}
		}
	}
	return out
}
