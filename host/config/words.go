package config

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// plain puts a finding of the HCL library into this package's form.
func plain(d *hcl.Diagnostic) (summary, detail string) {
	summary, detail = d.Summary, d.Detail
	switch {
	case strings.Contains(detail, "Cannot include a null value in a string template"):
		return "null inside a string", "session.volume is null when the request brings none. Say what stands there instead: x == null ? \"\" : x."
	case summary == "Operation failed":
		return strings.TrimSuffix(strings.TrimPrefix(detail, "Error during operation: "), "."), ""
	case summary == "Invalid function argument":
		if _, cause, ok := strings.Cut(detail, "parameter: "); ok {
			return strings.TrimSuffix(cause, "."), ""
		}
	case summary == "Attribute redefined":
		name, _, _ := strings.Cut(strings.TrimPrefix(detail, "The argument \""), "\"")
		if _, line, ok := strings.Cut(detail, "was already set at "); ok {
			at, _, _ := strings.Cut(line, ". Each")
			if i := strings.LastIndexByte(at, ','); i >= 0 {
				column, _, _ := strings.Cut(at[i+1:], "-")
				at = at[:i] + ":" + column
			}
			return fmt.Sprintf("%s is set twice", name), "The first is at " + at + ". Remove one of them."
		}
	case summary == "Not enough function arguments":
		return "env needs the name of a variable", "As in env(\"NAME\", \"default\")."
	case summary == "Invalid multi-line string":
		return "the closing quotation mark is missing", "A text ends on the line on which it begins. A longer one is written as <<EOT … EOT."
	case summary == "Call to unknown function":
		name, hint, _ := strings.Cut(strings.TrimPrefix(detail, "There is no function named \""), "\"")
		if _, near, ok := strings.Cut(hint, "Did you mean "); ok {
			return fmt.Sprintf("unknown function %q", name), "Did you mean " + near
		}
		return fmt.Sprintf("unknown function %q", name), "There is one function: env(\"NAME\", \"default\")."
	}
	if r, size := utf8.DecodeRuneInString(summary); size > 0 {
		if next, _ := utf8.DecodeRuneInString(summary[size:]); !unicode.IsUpper(next) {
			summary = string(unicode.ToLower(r)) + summary[size:]
		}
	}
	return summary, strings.TrimSpace(detail)
}

// near returns the name that is closest to given, when one is close.
func near(given string, names []string) string {
	best, least := "", 3 // a third slip is another word
	if len(given) < 4 {
		least = 2
	}
	for _, name := range names {
		if strings.EqualFold(given, name) {
			return name
		}
		if d := levenshtein.Distance(given, name, nil); d < least {
			best, least = name, d
		}
	}
	return best
}

// hint asks whether a near name was meant, or tells which names there are.
func hint(given string, names []string, what string) string {
	if n := near(given, names); n != "" {
		return fmt.Sprintf("Did you mean %q?", n)
	}
	if len(names) == 0 {
		return "There is no " + what + "."
	}
	return "Known here: " + list(names) + "."
}

// list joins names with commas, in their order.
func list(names []string) string { return strings.Join(names, ", ") }

// quoted joins names in quotation marks, the last one after "or".
func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	if len(q) < 2 {
		return strings.Join(q, "")
	}
	return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}

// describe tells a value in a few words.
func describe(v cty.Value) string {
	ty := v.Type()
	switch {
	case v.IsNull():
		return "null"
	case !v.IsKnown():
		return "unknown"
	case ty == cty.String:
		return quote(v.AsString())
	case ty == cty.Number:
		return number(v.AsBigFloat())
	case ty == cty.Bool && v.True():
		return "true"
	case ty == cty.Bool:
		return "false"
	case ty.IsTupleType(), ty.IsListType(), ty.IsSetType():
		return "a list"
	case ty.IsObjectType(), ty.IsMapType():
		return "a map"
	default:
		return ty.FriendlyName()
	}
}

// number writes n in full when it is short, else as a power of ten.
func number(n *big.Float) string {
	if n.IsInf() {
		return "infinite"
	}
	return n.Text('g', 12)
}

// quote puts s in quotation marks, shortened when it is long.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 80 {
		s = string([]rune(s)[:80]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// printable reports whether s holds no control characters and is UTF-8.
func printable(s string) bool {
	return utf8.ValidString(s) && !slices.ContainsFunc([]rune(s), unicode.IsControl)
}
