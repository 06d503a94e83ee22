package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// operators are the tokens by which an expression without brackets becomes deep.
var operators = map[hclsyntax.TokenType]bool{
	hclsyntax.TokenBang: true, hclsyntax.TokenMinus: true, hclsyntax.TokenPlus: true,
	hclsyntax.TokenStar: true, hclsyntax.TokenSlash: true, hclsyntax.TokenPercent: true,
	hclsyntax.TokenAnd: true, hclsyntax.TokenOr: true, hclsyntax.TokenQuestion: true,
	hclsyntax.TokenEqualOp: true, hclsyntax.TokenNotEqual: true, hclsyntax.TokenLessThan: true,
	hclsyntax.TokenLessThanEq: true, hclsyntax.TokenGreaterThan: true, hclsyntax.TokenGreaterThanEq: true,
	hclsyntax.TokenOBrack: true, hclsyntax.TokenDot: true,
}

// firstFaults drops what the parser says only because of a fault before: a second finding
// at one place, and the texts that a missing quotation mark turns inside out.
func firstFaults(diags hcl.Diagnostics) hcl.Diagnostics {
	var out hcl.Diagnostics
	seen := map[hcl.Pos]bool{}
	unclosed := false
	for _, d := range diags {
		if d.Subject == nil {
			out = append(out, d)
			continue
		}
		open := d.Summary == "Invalid multi-line string" || d.Summary == "Unterminated template string"
		if seen[d.Subject.Start] || open && unclosed {
			continue
		}
		seen[d.Subject.Start] = true
		unclosed = unclosed || open
		out = append(out, d)
	}
	return out
}

// nesting finds the place where the text is nested too deep. Operators and conditionals
// without brackets nest as well.
func nesting(tokens hclsyntax.Tokens) (hcl.Range, bool) {
	var open []hclsyntax.TokenType
	chain := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, t.Type)
			if operators[t.Type] {
				chain++
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			open = open[:max(0, len(open)-1)]
		case hclsyntax.TokenComma:
			chain = 0
		case hclsyntax.TokenNewline:
			if len(open) == 0 || open[len(open)-1] == hclsyntax.TokenOBrace {
				chain = 0 // elsewhere an expression goes on
			}
		default:
			if operators[t.Type] {
				chain++
			}
		}
		if len(open) > maxNesting || chain > maxChain {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}
