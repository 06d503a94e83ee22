package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/berth-dev/berth/sdk/provider"
)

const maxBlockDepth = 8

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// compiled is a schema made ready for decoding.
type compiled struct {
	schema   provider.Schema
	names    names
	patterns map[string]*regexp.Regexp
	defaults map[string]cty.Value
	blocks   map[string]*compiled
	spec     hcldec.ObjectSpec
}

// compile checks a schema, which came from a plugin, and makes the decoder for it.
func compile(s provider.Schema, depth int) (*compiled, error) {
	if depth > maxBlockDepth {
		return nil, fmt.Errorf("blocks are nested more than %d deep", maxBlockDepth)
	}
	c := &compiled{
		schema:   s,
		patterns: map[string]*regexp.Regexp{},
		defaults: map[string]cty.Value{},
		blocks:   map[string]*compiled{},
		spec:     hcldec.ObjectSpec{},
	}
	for _, a := range s.Attributes {
		if err := c.attribute(a); err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	for _, b := range s.Blocks {
		if err := c.block(b, depth); err != nil {
			return nil, fmt.Errorf("block %q: %w", b.Name, err)
		}
	}
	return c, nil
}

func (c *compiled) free(name string) error {
	if !identifier.MatchString(name) {
		return fmt.Errorf("the name is no snake case")
	}
	if _, taken := c.spec[name]; taken {
		return fmt.Errorf("the name is there twice")
	}
	return nil
}

func (c *compiled) attribute(a provider.Attribute) error {
	if err := c.free(a.Name); err != nil {
		return err
	}
	ty, zero, err := ctyType(a.Type)
	if err != nil {
		return err
	}
	for _, bound := range []*float64{a.Min, a.Max} {
		if bound != nil && (math.IsNaN(*bound) || math.IsInf(*bound, 0)) {
			return fmt.Errorf("min and max must be finite")
		}
	}
	if a.Pattern != "" {
		if c.patterns[a.Name], err = regexp.Compile(a.Pattern); err != nil {
			return fmt.Errorf("pattern: %w", err)
		}
	}
	value := zero
	if a.Default != nil {
		if value, err = ctyjson.Unmarshal(a.Default, ty); err != nil || value.IsNull() {
			return fmt.Errorf("the default %s is no %s", a.Default, a.Type)
		}
		if limit, _ := constrain(a, c.patterns[a.Name], value); limit != "" && !value.RawEquals(zero) {
			return fmt.Errorf("the default %s is not %s", a.Default, limit)
		}
	}
	c.defaults[a.Name] = value
	c.names.attrs = append(c.names.attrs, a.Name)
	c.spec[a.Name] = &hcldec.DefaultSpec{
		Primary: &hcldec.AttrSpec{Name: a.Name, Type: ty},
		Default: &hcldec.LiteralSpec{Value: value},
	}
	return nil
}

func (c *compiled) block(b provider.Block, depth int) error {
	if err := c.free(b.Name); err != nil {
		return err
	}
	inner, err := compile(b.Schema, depth+1)
	if err != nil {
		return err
	}
	c.blocks[b.Name] = inner
	c.names.blocks = append(c.names.blocks, b.Name)
	if b.Repeated {
		c.names.many = append(c.names.many, b.Name)
		c.spec[b.Name] = &hcldec.BlockListSpec{TypeName: b.Name, Nested: inner.spec}
		return nil
	}
	spec := hcldec.Spec(&hcldec.BlockSpec{TypeName: b.Name, Nested: inner.spec})
	if !inner.demands() {
		empty, diags := hcldec.Decode(hcl.EmptyBody(), inner.spec, nil)
		if diags.HasErrors() {
			return diags
		}
		spec = &hcldec.DefaultSpec{Primary: spec, Default: &hcldec.LiteralSpec{Value: empty}}
	}
	c.spec[b.Name] = spec
	return nil
}

// demands reports whether a block can't be left to its defaults.
func (c *compiled) demands() bool {
	return slices.ContainsFunc(c.schema.Attributes, func(a provider.Attribute) bool { return a.Required }) ||
		slices.ContainsFunc(c.schema.Blocks, func(b provider.Block) bool { return b.Required })
}

// find returns the attribute of that name.
func (c *compiled) find(name string) (provider.Attribute, bool) {
	i := slices.IndexFunc(c.schema.Attributes, func(a provider.Attribute) bool { return a.Name == name })
	if i < 0 {
		return provider.Attribute{}, false
	}
	return c.schema.Attributes[i], true
}

// ctyType returns how values of a type are held, and the type's zero value.
func ctyType(t provider.Type) (ty cty.Type, zero cty.Value, err error) {
	switch t {
	case provider.TypeString:
		return cty.String, cty.StringVal(""), nil
	case provider.TypeDuration:
		return cty.String, cty.StringVal("0s"), nil
	case provider.TypeBytes:
		return cty.String, cty.StringVal("0B"), nil
	case provider.TypeBool:
		return cty.Bool, cty.False, nil
	case provider.TypeInt, provider.TypeNumber:
		return cty.Number, cty.Zero, nil
	case provider.TypeStringList:
		return cty.List(cty.String), cty.ListValEmpty(cty.String), nil
	case provider.TypeStringMap:
		return cty.Map(cty.String), cty.MapValEmpty(cty.String), nil
	}
	return cty.NilType, cty.NilVal, fmt.Errorf("unknown type %q", t)
}

// kind names a type for people.
func kind(t provider.Type) string {
	switch t {
	case provider.TypeString:
		return "a text"
	case provider.TypeDuration:
		return "a duration such as \"90s\""
	case provider.TypeBytes:
		return "a size such as \"512MiB\""
	case provider.TypeBool:
		return "true or false"
	case provider.TypeInt:
		return "a whole number"
	case provider.TypeNumber:
		return "a number"
	case provider.TypeStringList:
		return "a list of texts"
	case provider.TypeStringMap:
		return "a map of texts"
	}
	return strings.TrimSpace(string(t))
}
