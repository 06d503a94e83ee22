// Package schemadoc writes a provider's settings for people, from its schemas: as markdown,
// for a README and for "berth providers docs", and as plain text, for a plugin that is run
// by hand.
package schemadoc

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/bytesize"
	"github.com/berth-dev/berth/sdk/provider"
)

// row is one setting, or one block of them.
type row struct {
	name, typ, def, doc, limits string
}

// Markdown writes the settings of provider name: two tables under headings of the third
// level, for its own block and for the templates that use it. Sensitive defaults are left
// out.
func Markdown(w io.Writer, name string, s provider.Schemas) error {
	b := &strings.Builder{}
	table := func(block, doc string, schema provider.Schema) {
		fmt.Fprintf(b, "### `%s`\n\n", block)
		if doc != "" {
			fmt.Fprintf(b, "%s\n\n", cell(doc))
		}
		rows := rowsOf(schema, "")
		if len(rows) == 0 {
			b.WriteString("There are no settings.\n")
			return
		}
		b.WriteString("| setting | type | default | what it is |\n| --- | --- | --- | --- |\n")
		for _, r := range rows {
			def := r.def
			if def != "" && def != "required" {
				def = code(def)
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.name, r.typ, cell(def), cell(strings.TrimSpace(r.doc+" "+r.limits)))
		}
	}
	table(fmt.Sprintf("provider %q { config { … } }", name), s.Provider.Doc, s.Provider)
	b.WriteString("\n")
	table("template { config { … } }", s.Sandbox.Doc, s.Sandbox)
	_, err := io.WriteString(w, b.String())
	return err
}

// Text writes one schema as plain text, each line after indent.
func Text(w io.Writer, indent string, s provider.Schema) error {
	b := &strings.Builder{}
	rows := rowsOf(s, "")
	if len(rows) == 0 {
		fmt.Fprintf(b, "%sno settings\n", indent)
	}
	for _, r := range rows {
		fmt.Fprintf(b, "%s%s  %s", indent, r.name, r.typ)
		switch r.def {
		case "":
		case "required":
			b.WriteString(", required")
		default:
			b.WriteString(", default " + r.def)
		}
		b.WriteString("\n")
		if words := strings.TrimSpace(r.doc + " " + strings.ReplaceAll(r.limits, "`", "")); words != "" {
			fmt.Fprintf(b, "%s    %s\n", indent, oneLine(words))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rowsOf flattens a schema: what is in a block has the block's name in front.
func rowsOf(s provider.Schema, prefix string) []row {
	var rows []row
	for _, a := range s.Attributes {
		r := row{name: prefix + a.Name, typ: string(a.Type), doc: a.Doc, limits: limitsOf(a)}
		switch {
		case a.Required:
			r.def = "required"
		case a.Sensitive:
			r.limits = strings.TrimSpace(r.limits + " It is a secret: it is never shown.")
		case a.Default != nil:
			r.def = string(a.Default)
		default:
			r.def = zero(a.Type)
		}
		rows = append(rows, r)
	}
	for _, b := range s.Blocks {
		r := row{name: prefix + b.Name, typ: "block", doc: b.Doc}
		if b.Repeated {
			r.typ = "blocks, any number"
		}
		if b.Required {
			r.def = "required"
		}
		rows = append(rows, r)
		rows = append(rows, rowsOf(b.Schema, prefix+b.Name+".")...)
	}
	return rows
}

// limitsOf tells in sentences what a value must be.
func limitsOf(a provider.Attribute) string {
	var parts []string
	if len(a.OneOf) > 0 {
		quoted := make([]string, len(a.OneOf))
		for i, v := range a.OneOf {
			quoted[i] = code(strconv.Quote(v))
		}
		parts = append(parts, "One of "+strings.Join(quoted, ", ")+".")
	}
	switch {
	case a.Min != nil && a.Max != nil:
		parts = append(parts, "From "+Amount(a.Type, *a.Min)+" to "+Amount(a.Type, *a.Max)+".")
	case a.Min != nil:
		parts = append(parts, "At least "+Amount(a.Type, *a.Min)+".")
	case a.Max != nil:
		parts = append(parts, "At most "+Amount(a.Type, *a.Max)+".")
	}
	if a.Pattern != "" {
		parts = append(parts, "Must match "+code(a.Pattern)+".")
	}
	return strings.Join(parts, " ")
}

// Amount is a bound in the way in which the setting is written.
func Amount(t provider.Type, n float64) string {
	switch t {
	case provider.TypeDuration:
		return time.Duration(n * float64(time.Second)).String()
	case provider.TypeBytes:
		return bytesize.Format(int64(n))
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// zero is the default of what has none.
func zero(t provider.Type) string {
	switch t {
	case provider.TypeBool:
		return "false"
	case provider.TypeInt, provider.TypeNumber:
		return "0"
	case provider.TypeDuration:
		return `"0s"`
	case provider.TypeBytes:
		return `"0B"`
	case provider.TypeStringList:
		return "[]"
	case provider.TypeStringMap:
		return "{}"
	}
	return `""`
}

// code is a span of code in markdown, also for text with backticks.
func code(text string) string {
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

// cell makes a text fit for a cell of a table.
func cell(text string) string { return strings.ReplaceAll(oneLine(text), "|", `\|`) }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// attribute, block and schema are the schemas as JSON, in the words of the contract.
type attribute struct {
	Name      string          `json:"name"`
	Type      provider.Type   `json:"type"`
	Doc       string          `json:"doc"`
	Required  bool            `json:"required"`
	Sensitive bool            `json:"sensitive"`
	Default   json.RawMessage `json:"default,omitempty"`
	OneOf     []string        `json:"one_of,omitempty"`
	Min       *float64        `json:"min,omitempty"`
	Max       *float64        `json:"max,omitempty"`
	Pattern   string          `json:"pattern,omitempty"`
}

type block struct {
	Name     string `json:"name"`
	Doc      string `json:"doc"`
	Repeated bool   `json:"repeated"`
	Required bool   `json:"required"`
	Schema   schema `json:"schema"`
}

type schema struct {
	Doc        string      `json:"doc"`
	Attributes []attribute `json:"attributes"`
	Blocks     []block     `json:"blocks"`
}

// JSON is a value that encoding/json writes as the schema, in snake case.
func JSON(s provider.Schema) any { return jsonOf(s) }

func jsonOf(s provider.Schema) schema {
	out := schema{Doc: s.Doc, Attributes: []attribute{}, Blocks: []block{}}
	for _, a := range s.Attributes {
		j := attribute{Name: a.Name, Type: a.Type, Doc: a.Doc, Required: a.Required, Sensitive: a.Sensitive,
			OneOf: a.OneOf, Min: a.Min, Max: a.Max, Pattern: a.Pattern}
		if !a.Sensitive {
			j.Default = a.Default
		}
		out.Attributes = append(out.Attributes, j)
	}
	for _, b := range s.Blocks {
		out.Blocks = append(out.Blocks, block{Name: b.Name, Doc: b.Doc, Repeated: b.Repeated, Required: b.Required, Schema: jsonOf(b.Schema)})
	}
	return out
}
