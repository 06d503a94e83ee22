package config

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// segment is a piece of an evaluated text: the operator's, or the caller's.
type segment struct {
	text   string
	caller bool
	volume bool // the request's volume, whole
}

// confine returns the directory below which a source must stay: the operator's text up
// to the last "/" before the caller's first. What follows that directory must be a clean
// path, so that no text of the caller climbs out of it or names the directory itself. For a
// source that is the request's volume and nothing else it is "": volume_roots confine that.
// A source that begins with the volume is confined to the volume.
func confine(ctx *hcl.EvalContext, expr hclsyntax.Expression, source string) (root, problem, remedy string) {
	segs := segments(ctx, expr)
	prefix, n := "", 0
	for n < len(segs) && !segs[n].caller || n == 0 && n < len(segs) && segs[n].volume {
		prefix += segs[n].text
		n++
	}
	fromVolume := len(segs) > 0 && segs[0].volume
	if fromVolume && len(prefix) == len(source) && prefix == segs[0].text {
		return "", "", ""
	}
	switch {
	case fromVolume:
		root = path.Clean(segs[0].text)
		if !strings.HasPrefix(source[len(segs[0].text):], "/") {
			return "", "session.volume must be followed by \"/\"", "As in \"${session.volume}/data\"."
		}
	case n == len(segs): // the session only chose between the operator's texts
		if limit, fix := absolute(source); limit != "" {
			return "", fmt.Sprintf("source must be %s, not %s", limit, quote(source)), fix
		}
		return "", "", ""
	}
	if cut := strings.LastIndexByte(prefix, '/'); cut > len(root) {
		root = prefix[:cut]
	}
	if root == "" || path.Clean(root) == "/" {
		return "", fmt.Sprintf("source %s is not confined: no directory stands before the session's text", quote(source)), "Write one, as in \"/srv/chats/${session.chat_id}\"."
	}
	if fix := path.Clean(root); fix != root || strings.Contains(root, "/../") {
		return "", fmt.Sprintf("source must begin with a path without \".\", \"..\" or \"//\", not %s", quote(root)), "Write " + quote(fix) + "."
	}
	rest := strings.TrimPrefix(source, root+"/")
	if rest == source || rest != path.Clean(rest) || rest == "." || rest == ".." || strings.HasPrefix(rest, "../") || strings.HasPrefix(rest, "/") {
		return "", fmt.Sprintf("source %s must be a clean path below %s", quote(source), quote(root)), "The session's text must not be empty there, and the path has no \".\", \"..\" or \"//\", and no \"/\" at its end."
	}
	return root, "", ""
}

// segments takes an expression's value apart, by who wrote which piece. What can't be
// taken apart and depends on the session counts as the caller's, whole.
func segments(ctx *hcl.EvalContext, expr hclsyntax.Expression) []segment {
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		var out []segment
		for _, part := range e.Parts {
			out = append(out, segments(ctx, part)...)
		}
		return out
	case *hclsyntax.TemplateWrapExpr:
		return segments(ctx, e.Wrapped)
	case *hclsyntax.ParenthesesExpr:
		return segments(ctx, e.Expression)
	case *hclsyntax.ConditionalExpr:
		cond, diags := e.Condition.Value(ctx)
		if cond, err := convert.Convert(cond, cty.Bool); err == nil && !diags.HasErrors() && cond.IsKnown() && !cond.IsNull() {
			if cond.True() {
				return segments(ctx, e.TrueResult)
			}
			return segments(ctx, e.FalseResult)
		}
	}
	v, diags := expr.Value(ctx)
	text, err := convert.Convert(v, cty.String)
	if diags.HasErrors() || err != nil || !text.IsKnown() || text.IsNull() {
		return []segment{{caller: true}}
	}
	s := segment{text: text.AsString(), caller: len(expr.Variables()) > 0}
	if t, ok := expr.(*hclsyntax.ScopeTraversalExpr); ok && len(t.Traversal) == 2 {
		step, isAttr := t.Traversal[1].(hcl.TraverseAttr)
		s.volume = isAttr && step.Name == "volume"
	}
	return []segment{s}
}
