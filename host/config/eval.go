package config

import (
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// sessionFields are the names that may follow "session.".
var sessionFields = []string{"id", "chat_id", "agent_id", "volume", "created_at", "expires_at"}

// environment returns the function env. What a variable held when it was first read
// holds for the life of the configuration.
func environment(lookup func(string) (string, bool)) function.Function {
	type answer struct {
		value string
		set   bool
	}
	var seen sync.Map
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{
			Name: "default", Type: cty.String, AllowNull: true,
		},
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if len(args) > 2 {
				return cty.NilVal, function.NewArgErrorf(2, "env takes a name and at most one default")
			}
			value, set := lookup(name)
			first, _ := seen.LoadOrStore(name, answer{value, set})
			switch a := first.(answer); {
			case a.set:
				return cty.StringVal(a.value), nil
			case len(args) == 2:
				return args[1], nil
			default:
				return cty.NilVal, function.NewArgErrorf(0, "the environment variable %q is not set; set it, or give a default: env(%q, \"…\")", name, name)
			}
		},
	})
}

// sessionValue returns what the name session means for s.
func sessionValue(s Session) cty.Value {
	volume := cty.NullVal(cty.String)
	if s.Volume != "" {
		volume = cty.StringVal(s.Volume)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"id":         cty.StringVal(s.ID),
		"chat_id":    cty.StringVal(s.ChatID),
		"agent_id":   cty.StringVal(s.AgentID),
		"volume":     volume,
		"created_at": cty.StringVal(s.CreatedAt.UTC().Format(time.RFC3339Nano)),
		"expires_at": cty.StringVal(s.ExpiresAt.UTC().Format(time.RFC3339Nano)),
	})
}

// Numbers are kept within what a float64 can hold: HCL's own reach to exponents whose
// digits would fill the memory, and to the infinite.
const maxExponent = 1024

var errInfinite = errors.New("the result is infinite or too large")

// finite reports whether n is within bounds.
func finite(n *big.Float) bool {
	if n.IsInf() {
		return false
	}
	e := n.MantExp(nil)
	return e <= maxExponent && e >= -maxExponent
}

// guarded are HCL's operators that can leave the finite numbers, each with a stand-in
// that answers with an error then.
var guarded = map[*hclsyntax.Operation]*hclsyntax.Operation{
	hclsyntax.OpAdd:      guard(hclsyntax.OpAdd, false),
	hclsyntax.OpSubtract: guard(hclsyntax.OpSubtract, false),
	hclsyntax.OpMultiply: guard(hclsyntax.OpMultiply, false),
	hclsyntax.OpDivide:   guard(hclsyntax.OpDivide, true),
	hclsyntax.OpModulo:   guard(hclsyntax.OpModulo, true),
	hclsyntax.OpNegate:   guard(hclsyntax.OpNegate, false),
}

func guard(op *hclsyntax.Operation, divides bool) *hclsyntax.Operation {
	params := make([]function.Parameter, len(op.Impl.Params()))
	for i, p := range op.Impl.Params() {
		params[i] = function.Parameter{Name: p.Name, Type: cty.Number}
	}
	return &hclsyntax.Operation{
		Type: op.Type,
		Impl: function.New(&function.Spec{
			Params: params,
			Type:   function.StaticReturnType(cty.Number),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				for _, a := range args {
					if !finite(a.AsBigFloat()) {
						return cty.NilVal, errInfinite
					}
				}
				if divides && args[1].AsBigFloat().Sign() == 0 {
					return cty.NilVal, errors.New("division by zero")
				}
				v, err := op.Impl.Call(args)
				if err == nil && v.IsKnown() && !v.IsNull() && !finite(v.AsBigFloat()) {
					err = errInfinite
				}
				return v, err
			},
		}),
	}
}

// harden puts the guarded operators in place of HCL's own, and reports numbers that are
// too large to be worked with.
func harden(r *report, body *hclsyntax.Body) {
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch e := node.(type) {
		case *hclsyntax.BinaryOpExpr:
			if op, ok := guarded[e.Op]; ok {
				e.Op = op
			}
		case *hclsyntax.UnaryOpExpr:
			if op, ok := guarded[e.Op]; ok {
				e.Op = op
			}
		case *hclsyntax.LiteralValueExpr:
			if e.Val.Type() == cty.Number && e.Val.IsKnown() && !e.Val.IsNull() && !finite(e.Val.AsBigFloat()) {
				r.fail(e.SrcRange, "the number is too large or too small", "Numbers may be as large as 1e308.")
				e.Val = cty.DynamicVal // so that nothing more is said of it
			}
		}
		return nil
	})
}

// names reports what an expression refers to and may not. With session, it may use the
// fields of session.
func (r *report) names(expr hclsyntax.Expression, setting string, session bool) bool {
	ok := true
	bad := func(rng hcl.Range, summary, detail string) {
		ok = false
		r.fail(rng, summary, detail)
	}
	for _, t := range expr.Variables() {
		rng := t.SourceRange()
		if root := t.RootName(); root != "session" {
			remedy := "A text is written in quotation marks: \"" + root + "\"."
			if covering(r.hidden, rng.Start.Byte) >= 0 { // it may be a secret without its quotation marks
				bad(rng, "unknown name", "A text is written in quotation marks.")
				continue
			}
			if near(root, []string{"session"}) != "" {
				remedy = "Did you mean \"session\"?"
			}
			bad(rng, fmt.Sprintf("unknown name %q", root), remedy)
			continue
		}
		if !session {
			bad(rng, "session.* can't be used in "+setting, "It may be used in a mount's source, in env and in command of a template. Everything else holds for all sessions.")
			continue
		}
		field := ""
		if len(t) > 1 {
			switch step := t[1].(type) {
			case hcl.TraverseAttr:
				field = step.Name
			case hcl.TraverseIndex:
				if step.Key.Type() == cty.String {
					field = step.Key.AsString()
				}
			}
		}
		switch {
		case field == "":
			bad(rng, "session is no value by itself", "Name one of its fields: session."+list(sessionFields)+".")
		case sessionValue(Session{}).Type().HasAttribute(field) && len(t) > 2:
			bad(rng, "session."+field+" is a text and has no fields", "")
		case !sessionValue(Session{}).Type().HasAttribute(field):
			bad(rng, "unknown field session."+field, hint(field, sessionFields, "field"))
		}
	}
	return ok
}
