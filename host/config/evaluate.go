package config

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/berth-dev/berth/sdk/provider"
)

// Evaluate computes for one session what the template leaves open. It fails with class
// InvalidArgument when the session's texts would make a mount leave its directory, or can't
// stand where the template puts them. It may be called by any number of goroutines.
func (t *Template) Evaluate(s Session) (Evaluated, error) {
	r := *t.reader
	r.report = &report{file: t.file}
	ev := r.evaluate(t, s)
	if len(r.diags) == 0 {
		return ev, nil
	}
	first := r.diags.sorted()[0]
	message := fmt.Sprintf("template %q does not fit this session: %s", t.Name, first.Summary)
	if first.Within != "" {
		message += fmt.Sprintf(" (%s, %s:%d:%d)", first.Within, first.File, first.Line, first.Column)
	}
	return Evaluated{}, &provider.Error{Class: provider.InvalidArgument, Op: "create", ID: s.ID, Message: message}
}

// evaluate computes the session's part of t, and reports what can't be.
func (r *reader) evaluate(t *Template, s Session) Evaluated {
	ctx := r.constants.NewChild()
	ctx.Variables = map[string]cty.Value{"session": sessionValue(s)}
	ev := Evaluated{Command: r.command(ctx, t.command), Env: r.env(ctx, t.env)}
	for _, m := range t.mounts {
		if mount, ok := r.mount(ctx, m); ok {
			ev.Mounts = append(ev.Mounts, mount)
		}
	}
	return ev
}

// value evaluates an expression in ctx. It is not ok for null, nor after a reported error.
func (r *reader) value(ctx *hcl.EvalContext, expr hclsyntax.Expression, name string, ty cty.Type, want string) (cty.Value, bool) {
	v, diags := expr.Value(ctx)
	r.hcl(diags)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	return r.convert(expr, v, name, ty, want)
}

func (r *reader) command(ctx *hcl.EvalContext, expr hclsyntax.Expression) []string {
	if expr == nil {
		return nil
	}
	v, ok := r.value(ctx, expr, "command", cty.List(cty.String), "a list of texts")
	if !ok {
		return nil
	}
	var out []string
	for i, e := range v.AsValueSlice() {
		text := e.AsString()
		if strings.ContainsRune(text, 0) {
			r.must(element(expr, i), fmt.Sprintf("command[%d]", i), "a text without NUL", quote(text), "")
		}
		if i == 0 && text == "" {
			r.must(element(expr, i), "command[0]", "the program to run", quote(text), "Leave command out for the image's own.")
		}
		out = append(out, text)
	}
	return out
}

func (r *reader) env(ctx *hcl.EvalContext, expr hclsyntax.Expression) []provider.EnvVar {
	if expr == nil {
		return nil
	}
	v, ok := r.value(ctx, expr, "env", cty.Map(cty.String), "a map of texts")
	if !ok {
		return nil
	}
	values := v.AsValueMap()
	var out []provider.EnvVar
	for _, name := range sortedKeys(values) {
		value := values[name].AsString()
		if name == "AGENT_ID" {
			r.fail(entry(expr, name), "AGENT_ID can't be set in env", "The host sets it to the session's agent id. Remove it here.")
			continue
		}
		if problem, remedy := variable(name, value); problem != "" {
			r.fail(entry(expr, name), fmt.Sprintf("env[%q] %s", name, problem), remedy)
		}
		out = append(out, provider.EnvVar{Name: name, Value: value})
	}
	return out
}

// mount evaluates a mount's source. It is not ok when the mount is left out.
func (r *reader) mount(ctx *hcl.EvalContext, m *mount) (Mount, bool) {
	v, ok := r.value(ctx, m.source, "source", cty.String, "an absolute path")
	if !ok {
		return Mount{}, false
	}
	source := v.AsString()
	out := Mount{Name: m.name, Source: source, Target: m.target, ReadOnly: m.readOnly}
	if limit, remedy := sourcePath(source, m.constant); limit != "" {
		r.must(m.rng, "source", limit, quote(source), remedy)
		return Mount{}, false
	}
	if m.constant {
		out.Source = path.Clean(source)
	} else {
		root, problem, remedy := confine(ctx, m.source, source)
		if problem != "" {
			r.fail(m.rng, problem, remedy)
			return Mount{}, false
		}
		out.Confine = root
	}
	if m.create != nil {
		dir := *m.create
		dir.Within = out.Confine
		switch {
		case m.constant:
			dir.Within = path.Dir(out.Source)
		case out.Confine == "":
			r.fail(m.rng, "create can't be used with the request's volume", "A volume must exist before it is asked for. Remove create.")
			return Mount{}, false
		}
		out.Create = &dir
	}
	return out, true
}

// sourcePath judges the path of a source. One that the operator wrote may end in "/".
func sourcePath(source string, constant bool) (limit, remedy string) {
	if limit, remedy = clean(source); limit != "" {
		return limit, remedy
	}
	if constant {
		if limit, remedy = absolute(source); limit == "" {
			limit, remedy = notRoot("With \"/\" the sandbox would see every directory of the host.")(source)
		}
		return limit, remedy
	}
	if !path.IsAbs(source) {
		return "an absolute path", "Write a directory before the session's text, as in \"/srv/chats/${session.chat_id}\"."
	}
	return "", ""
}
