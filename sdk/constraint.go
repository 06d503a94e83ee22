package sdk

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var (
	texts   = []provider.Type{provider.TypeString, provider.TypeStringList}
	amounts = []provider.Type{provider.TypeInt, provider.TypeNumber, provider.TypeDuration, provider.TypeBytes}
)

// refuse panics with the field's place in front.
func (f *field) refuse(format string, args ...any) {
	panic("sdk: " + f.where + ": " + fmt.Sprintf(format, args...))
}

// schemaBlock describes the block in the structs of outer.
func (f *field) schemaBlock(outer []reflect.Type) provider.Block {
	if i := slices.Index(outer, f.block); i >= 0 {
		way := ""
		for _, t := range append(outer[i:len(outer):len(outer)], f.block) {
			way += " > " + t.String()
		}
		f.refuse("a block can't contain itself:%s", strings.TrimPrefix(way, " >"))
	}
	for _, tag := range []string{"default", "oneof", "min", "max", "pattern"} {
		if _, ok := f.tag.Lookup(tag); ok {
			f.refuse("%s is for attributes, and this is a block; set it on the fields of %s", tag, f.block)
		}
	}
	if f.sensitive {
		f.refuse("sensitive is for attributes, and this is a block; set it on the fields of %s", f.block)
	}
	b := provider.Block{Name: f.name, Doc: f.doc, Repeated: f.repeated, Required: f.required, Schema: schemaOf(f.block, outer)}
	if f.required && !f.repeated && !f.nilable && !demands(b.Schema) {
		f.refuse("a required block in which nothing is required says nothing; make it optional: then it has its defaults when it is left out")
	}
	return b
}

// demands reports whether something in the block must be set.
func demands(s provider.Schema) bool {
	return slices.ContainsFunc(s.Attributes, func(a provider.Attribute) bool { return a.Required }) ||
		slices.ContainsFunc(s.Blocks, func(b provider.Block) bool { return b.Required })
}

func (f *field) attribute() provider.Attribute {
	a := provider.Attribute{Name: f.name, Type: f.typ, Doc: f.doc, Required: f.required, Sensitive: f.sensitive,
		Min: f.bound("min"), Max: f.bound("max")}
	if a.Min != nil && a.Max != nil && *a.Min > *a.Max {
		f.refuse("min %q is more than max %q", f.tag.Get("min"), f.tag.Get("max"))
	}
	if list, ok := f.only("oneof", texts); ok {
		if a.OneOf = strings.Split(list, ","); list == "" {
			f.refuse("oneof allows no value; leave it out to allow any")
		}
	}
	if re, ok := f.only("pattern", texts); ok {
		if _, err := regexp.Compile(re); err != nil {
			f.refuse("pattern %q is no regular expression (RE2): %v", re, err)
		}
		if a.OneOf != nil {
			f.refuse("pattern and oneof together: oneof names the values already; leave pattern out")
		}
		a.Pattern = re
	}
	if text, ok := f.tag.Lookup("default"); ok {
		if f.required {
			f.refuse("default %q is never used, because the setting is required; make it optional, or leave default out", text)
		}
		a.Default = f.json(text)
	}
	return a
}

// only looks up a tag that makes sense for attributes of some types.
func (f *field) only(tag string, types []provider.Type) (string, bool) {
	text, ok := f.tag.Lookup(tag)
	if ok && !slices.Contains(types, f.typ) {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = string(t)
		}
		f.refuse("%s %q is for %s, and this is %s; leave it out", tag, text, strings.Join(names, ", "), f.typ)
	}
	return text, ok
}

// json is a default as it travels.
func (f *field) json(text string) []byte {
	quoted := []provider.Type{provider.TypeString, provider.TypeDuration, provider.TypeBytes}
	raw := []byte(text)
	if slices.Contains(quoted, f.typ) {
		raw, _ = json.Marshal(text) // a string always marshals
	}
	probe := reflect.New(goType(f.typ)).Elem()
	if err := decodeAttribute(probe, raw); err != nil {
		f.refuse("default %q: %v", text, err)
	}
	return raw
}

func goType(typ provider.Type) reflect.Type {
	for t, name := range attributeTypes {
		if name == typ {
			return t
		}
	}
	panic("sdk: no Go type for " + string(typ))
}

// bound reads min or max: a number, or for durations and sizes also "5s" and "4KiB".
func (f *field) bound(tag string) *float64 {
	text, ok := f.only(tag, amounts)
	if !ok {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && f.typ == provider.TypeDuration {
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = d.Seconds()
	} else if err != nil && f.typ == provider.TypeBytes {
		var b Bytes
		b, err = ParseBytes(text)
		n = float64(b)
	}
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		f.refuse("%s %q is no number", tag, text)
	}
	return &n
}
