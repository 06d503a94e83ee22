// Package settings checks settings in JSON by a provider's schema, and completes them with
// its defaults: what a host does with those of its configuration before it sends them.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

// Complete checks values, a JSON object, by s. Nothing, and null, are an
// empty object. It returns all of
// them, with the default of what is not there, as they would travel; or what is wrong with
// them, with the path of each attribute.
func Complete(s provider.Schema, values []byte) ([]byte, provider.Diagnostics) {
	c := &checker{}
	var raw any = map[string]any{}
	if len(bytes.TrimSpace(values)) > 0 {
		d := json.NewDecoder(bytes.NewReader(values))
		d.UseNumber()
		err := d.Decode(&raw)
		if err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = fmt.Errorf("there is more than one JSON value")
			}
		}
		if err != nil {
			c.refuse(nil, "the settings are no JSON: "+err.Error(), "Give one JSON object, such as {}.")
			return nil, c.found
		}
		if raw == nil { // null
			raw = map[string]any{}
		}
	}
	full := c.block(s, raw, nil)
	if c.found.HasErrors() {
		return nil, c.found
	}
	out, err := json.Marshal(full)
	if err != nil {
		c.refuse(nil, "the settings can't be written as JSON: "+err.Error(), "Correct the schema's defaults.")
	}
	return out, c.found
}

type checker struct{ found provider.Diagnostics }

func (c *checker) refuse(path []string, summary, detail string) {
	c.found = append(c.found, provider.Diagnostic{Severity: provider.SeverityError,
		Summary: summary, Detail: detail, Path: slices.Clone(path)})
}

// block checks one block's values.
func (c *checker) block(s provider.Schema, raw any, path []string) map[string]any {
	object, ok := raw.(map[string]any)
	if !ok {
		c.refuse(path, fmt.Sprintf("%s is no JSON object", show(raw)), `Write {"name": value, …}.`)
		return nil
	}
	full, known := map[string]any{}, map[string]bool{}
	for _, a := range s.Attributes {
		known[a.Name] = true
		here := append(slices.Clip(path), a.Name)
		value := object[a.Name]
		switch {
		case value != nil:
			if wrong, remedy := judge(a, value); wrong != "" {
				c.refuse(here, wrong, remedy)
			}
			full[a.Name] = value
		case a.Required:
			c.refuse(here, fmt.Sprintf("%q is required", a.Name), "Set it: "+a.Doc)
		case a.Default != nil:
			full[a.Name] = json.RawMessage(a.Default)
		default:
			full[a.Name] = zero(a.Type)
		}
	}
	for _, b := range s.Blocks {
		known[b.Name] = true
		c.nested(b, object[b.Name], full, append(slices.Clip(path), b.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !known[name] {
			c.refuse(append(slices.Clip(path), name), fmt.Sprintf("%q is no setting", name), "Remove it, or correct its name.")
		}
	}
	return full
}

// nested checks what stands under the name of a block.
func (c *checker) nested(b provider.Block, raw any, full map[string]any, path []string) {
	switch {
	case raw == nil && b.Required:
		c.refuse(path, fmt.Sprintf("%q is required", b.Name), "Set it: "+b.Doc)
	case raw == nil && b.Repeated:
		full[b.Name] = []any{}
	case raw == nil:
		if !demands(b.Schema) {
			full[b.Name] = c.block(b.Schema, map[string]any{}, path)
		}
	case b.Repeated:
		list, ok := raw.([]any)
		if !ok || b.Required && len(list) == 0 {
			c.refuse(path, fmt.Sprintf("%s is no list of blocks", show(raw)), "Write [{…}, …].")
			return
		}
		all := make([]any, len(list))
		for i, one := range list {
			all[i] = c.block(b.Schema, one, append(slices.Clip(path), fmt.Sprint(i)))
		}
		full[b.Name] = all
	default:
		full[b.Name] = c.block(b.Schema, raw, path)
	}
}

// demands reports whether something in the block must be set.
func demands(s provider.Schema) bool {
	return slices.ContainsFunc(s.Attributes, func(a provider.Attribute) bool { return a.Required }) ||
		slices.ContainsFunc(s.Blocks, func(b provider.Block) bool { return b.Required })
}
