package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
)

// Diagnostic is one finding about a configuration file.
type Diagnostic struct {
	Severity provider.Severity
	Summary  string // one line: the setting, the value, the limit
	Detail   string // the remedy; may be ""

	File   string // as it was named; never ""
	Line   int    // from 1; 0: the file as a whole
	Column int    // from 1, in characters

	Within string // the blocks around it: `template "default", mount "chat"`; may be ""
	Source string // the line, with secrets hidden; may be ""
	Mark   string // what to print under Source: spaces and carets
}

// Diagnostics are findings, sorted by their position. As an error they are the whole
// text that the user reads.
type Diagnostics []Diagnostic

// HasErrors reports whether any of them refuses the configuration.
func (d Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(d, func(x Diagnostic) bool { return x.Severity == provider.SeverityError })
}

// Err returns d when it has errors, and nil when it has none.
func (d Diagnostics) Err() error {
	if !d.HasErrors() {
		return nil
	}
	return d
}

// Warnings returns those that refuse nothing.
func (d Diagnostics) Warnings() Diagnostics {
	var w Diagnostics
	for _, x := range d {
		if x.Severity != provider.SeverityError {
			w = append(w, x)
		}
	}
	return w
}

// Error returns the text of all findings, a blank line between each.
func (d Diagnostics) Error() string {
	texts := make([]string, len(d))
	for i, x := range d {
		texts[i] = x.String()
	}
	return strings.Join(texts, "\n\n")
}

// String returns the finding as the user reads it:
//
//	config.hcl:12:10: error: port must be from 1 to 65535, not 70000
//	  in template "default":
//	    12 | port = 70000
//	       |        ^^^^^
//	  Leave it out for a sandbox without an endpoint.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Column)
	}
	fmt.Fprintf(&b, ": %s: %s", d.Severity, d.Summary)
	if d.Within != "" {
		fmt.Fprintf(&b, "\n  in %s:", d.Within)
	}
	if d.Line > 0 && d.Source != "" {
		fmt.Fprintf(&b, "\n%6d | %s", d.Line, d.Source)
		if d.Mark != "" {
			fmt.Fprintf(&b, "\n%6s | %s", "", d.Mark)
		}
	}
	if d.Detail != "" {
		b.WriteString("\n  " + strings.ReplaceAll(d.Detail, "\n", "\n  "))
	}
	return b.String()
}

// sorted returns d in the order of the file, without repetitions.
func (d Diagnostics) sorted() Diagnostics {
	d = slices.Clone(d)
	slices.SortStableFunc(d, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(d)
}
