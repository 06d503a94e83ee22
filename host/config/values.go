package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// reader evaluates constants and reports what is wrong with them.
type reader struct {
	*report
	constants *hcl.EvalContext // env, and no names
	system    system
}

// check judges a value. It returns what the value must be ("" when it is that), and the remedy.
type check[T any] func(T) (limit, remedy string)

// constant evaluates an expression of which nothing depends on a session. It is not ok
// when there is an error, which was reported, or when the value is null, which means that
// the setting is not set.
func (r *reader) constant(expr hclsyntax.Expression, name string, ty cty.Type, want string) (cty.Value, bool) {
	if !r.names(expr, name, false) {
		return cty.NilVal, false
	}
	v, diags := expr.Value(r.constants)
	r.hcl(diags)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	return r.convert(expr, v, name, ty, want)
}

// convert gives a value its type. It is not ok for null, nor after a reported error.
func (r *reader) convert(expr hclsyntax.Expression, v cty.Value, name string, ty cty.Type, want string) (cty.Value, bool) {
	if v.IsNull() {
		return v, false
	}
	out, err := convert.Convert(v, ty)
	if !v.IsWhollyKnown() {
		return v, false // the cause was reported
	}
	if err != nil {
		r.must(expr.Range(), name, want, describe(v), r.wrongType(v, ty))
		return v, false
	}
	if ty == cty.Number && !finite(out.AsBigFloat()) {
		r.must(expr.Range(), name, want, number(out.AsBigFloat()), "")
		return v, false
	}
	if !ty.IsPrimitiveType() {
		for key, e := range out.Elements() {
			if e.IsNull() {
				r.must(expr.Range(), name, want, "one with a null in it", "Remove "+at(name, key)+", or give it a value.")
				return v, false
			}
		}
	}
	return out, true
}

// wrongType is the remedy for a value of another type.
func (r *reader) wrongType(v cty.Value, ty cty.Type) string {
	switch {
	case ty.IsListType() && v.Type() == cty.String:
		return "Put it in brackets: [" + describe(v) + "]."
	case ty == cty.Bool:
		return "Write true or false."
	}
	return ""
}

// at names an element.
func at(name string, key cty.Value) string {
	if key.Type() == cty.String {
		return fmt.Sprintf("%s[%q]", name, key.AsString())
	}
	return fmt.Sprintf("%s[%s]", name, number(key.AsBigFloat()))
}

// apply makes the first check that fails a finding.
func apply[T any](r *reader, rng hcl.Range, name string, v T, value string, checks []check[T]) bool {
	for _, c := range checks {
		if limit, remedy := c(v); limit != "" {
			r.must(rng, name, limit, value, remedy)
			return false
		}
	}
	return true
}

// text reads a string; fallback is for a setting that is not set, and after an error.
func (s *section) text(name, fallback string, checks ...check[string]) string {
	attr := s.attr(name)
	if attr == nil {
		return fallback
	}
	v, ok := s.constant(attr.Expr, name, cty.String, "a text")
	if !ok || !apply(s.reader, attr.Expr.Range(), name, v.AsString(), quote(v.AsString()), slices.Concat([]check[string]{clean}, checks)) {
		return fallback
	}
	return v.AsString()
}

// flag reads a bool.
func (s *section) flag(name string) bool {
	attr := s.attr(name)
	if attr == nil {
		return false
	}
	v, ok := s.constant(attr.Expr, name, cty.Bool, "true or false")
	return ok && v.True()
}

// whole reads a whole number from low to high.
func (s *section) whole(name string, fallback, low, high int64, remedy string) int64 {
	attr := s.attr(name)
	if attr == nil {
		return fallback
	}
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	v, ok := s.constant(attr.Expr, name, cty.Number, want)
	if !ok {
		return fallback
	}
	f := v.AsBigFloat()
	n, _ := f.Int64()
	if !f.IsInt() || n < low || n > high {
		s.must(attr.Expr.Range(), name, want, number(f), remedy)
		return fallback
	}
	return n
}

// duration reads a duration above zero.
func (s *section) duration(name string, fallback time.Duration) time.Duration {
	attr := s.attr(name)
	if attr == nil {
		return fallback
	}
	v, ok := s.constant(attr.Expr, name, cty.String, "a duration such as \"90s\"")
	if !ok {
		return fallback
	}
	d, limit, remedy := parseDuration(v.AsString())
	switch {
	case limit != "":
	case d <= 0:
		limit, remedy = "above zero", ""
	case d > maxDuration:
		limit, remedy = "at most \"87600h\" (ten years)", ""
	default:
		return d
	}
	s.must(attr.Expr.Range(), name, limit, quote(v.AsString()), remedy)
	return fallback
}

// texts reads a list of strings.
func (s *section) texts(name string, checks ...check[string]) []string {
	attr := s.attr(name)
	if attr == nil {
		return nil
	}
	v, ok := s.constant(attr.Expr, name, cty.List(cty.String), "a list of texts")
	if !ok {
		return nil
	}
	var out []string
	for i, e := range v.AsValueSlice() {
		text := e.AsString()
		if apply(s.reader, element(attr.Expr, i), fmt.Sprintf("%s[%d]", name, i), text, quote(text), slices.Concat([]check[string]{clean}, checks)) {
			out = append(out, text)
		}
	}
	return out
}

// element returns the range of a list's element, or of the whole list where it has none
// of its own.
func element(expr hclsyntax.Expression, i int) hcl.Range {
	if list, ok := expr.(*hclsyntax.TupleConsExpr); ok && i < len(list.Exprs) {
		return list.Exprs[i].Range()
	}
	return expr.Range()
}

// variables reads a map of environment variables.
func (s *section) variables(name string) map[string]string {
	attr := s.attr(name)
	if attr == nil {
		return nil
	}
	v, ok := s.constant(attr.Expr, name, cty.Map(cty.String), "a map of texts")
	if !ok {
		return nil
	}
	out := map[string]string{}
	for key, e := range v.AsValueMap() {
		out[key] = e.AsString()
	}
	for _, key := range sortedKeys(out) {
		if problem, remedy := variable(key, out[key]); problem != "" {
			s.fail(entry(attr.Expr, key), fmt.Sprintf("%s[%q] %s", name, key, problem), remedy)
		}
	}
	return out
}

// entry returns the range of a map's entry, or of the whole map where it has none of its own.
func entry(expr hclsyntax.Expression, key string) hcl.Range {
	if object, ok := expr.(*hclsyntax.ObjectConsExpr); ok {
		for _, item := range object.Items {
			v, diags := item.KeyExpr.Value(nil)
			if !diags.HasErrors() && v.IsKnown() && !v.IsNull() && v.Type() == cty.String && v.AsString() == key {
				return hcl.RangeBetween(item.KeyExpr.Range(), item.ValueExpr.Range())
			}
		}
	}
	return expr.Range()
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
