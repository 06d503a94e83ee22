package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// SchemaOf derives a schema from a struct's tags. It panics, naming the field, when one
// can't be described.
//
// Each exported field is a setting with the tag
//
//	berth:"name,optional"    or    berth:"name,required"    and after them ",sensitive"
//
// and, where they make sense, default, oneof (comma separated), min, max, pattern (RE2)
// and doc. The types are string, bool, int64, float64, [time.Duration], [Bytes],
// []string and map[string]string. A struct is a block that may be there once, a pointer
// to one is nil when it is not there, and a slice of structs is a block that may be
// there any number of times.
func SchemaOf[T any]() provider.Schema { return schemaOf(reflect.TypeFor[T]()) }

func schemaOf(t reflect.Type) provider.Schema {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("sdk: settings are a struct with tags, not %s", t))
	}
	var s provider.Schema
	for _, f := range fieldsOf(t) {
		if f.block != nil {
			s.Blocks = append(s.Blocks, provider.Block{Name: f.name, Doc: f.doc, Repeated: f.repeated,
				Required: f.required, Schema: schemaOf(f.block)})
			continue
		}
		s.Attributes = append(s.Attributes, f.attribute())
	}
	return s
}

// field is one setting of a struct.
type field struct {
	index     int
	name, doc string
	required  bool
	sensitive bool
	tag       reflect.StructTag
	where     string // for panics

	typ      provider.Type // of an attribute
	block    reflect.Type  // of a block
	repeated bool
}

var attributeTypes = map[reflect.Type]provider.Type{
	reflect.TypeFor[string]():            provider.TypeString,
	reflect.TypeFor[bool]():              provider.TypeBool,
	reflect.TypeFor[int64]():             provider.TypeInt,
	reflect.TypeFor[float64]():           provider.TypeNumber,
	reflect.TypeFor[time.Duration]():     provider.TypeDuration,
	reflect.TypeFor[Bytes]():             provider.TypeBytes,
	reflect.TypeFor[[]string]():          provider.TypeStringList,
	reflect.TypeFor[map[string]string](): provider.TypeStringMap,
}

// fieldsOf reads a struct's tags.
func fieldsOf(t reflect.Type) []field {
	var list []field
	seen := map[string]bool{}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("berth")
		if !ok || tag == "-" {
			if ok || !sf.IsExported() {
				continue
			}
			panic(fmt.Sprintf("sdk: %s.%s has no berth tag; write berth:\"-\" to leave it out", t, sf.Name))
		}
		parts := strings.Split(tag, ",")
		f := field{index: i, name: parts[0], doc: sf.Tag.Get("doc"), tag: sf.Tag, where: t.String() + "." + sf.Name}
		for _, p := range parts[1:] {
			switch p {
			case "required":
				f.required = true
			case "sensitive":
				f.sensitive = true
			case "optional":
			default:
				panic(fmt.Sprintf("sdk: %s: %q in its berth tag is none of optional, required, sensitive", f.where, p))
			}
		}
		if !validName(f.name) || seen[f.name] {
			panic(fmt.Sprintf("sdk: %s: %q is no name for a setting; use snake case, each name once", f.where, f.name))
		}
		seen[f.name] = true
		f.resolve(sf.Type)
		list = append(list, f)
	}
	return list
}

func validName(name string) bool {
	return name != "" && name[0] >= 'a' && name[0] <= 'z' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

func (f *field) resolve(t reflect.Type) {
	if typ, ok := attributeTypes[t]; ok {
		f.typ = typ
		return
	}
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		f.block, f.repeated = t.Elem(), true
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		f.block = t.Elem()
	case t.Kind() == reflect.Struct:
		f.block = t
	default:
		panic(fmt.Sprintf("sdk: %s: a setting can't be of type %s", f.where, t))
	}
}

func (f *field) attribute() provider.Attribute {
	a := provider.Attribute{Name: f.name, Type: f.typ, Doc: f.doc, Required: f.required, Sensitive: f.sensitive,
		Pattern: f.tag.Get("pattern")}
	if list := f.tag.Get("oneof"); list != "" {
		a.OneOf = strings.Split(list, ",")
	}
	if text, ok := f.tag.Lookup("default"); ok {
		a.Default = f.json(text)
	}
	a.Min, a.Max = f.bound("min"), f.bound("max")
	return a
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
		panic(fmt.Sprintf("sdk: %s: default %q: %v", f.where, text, err))
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
	text, ok := f.tag.Lookup(tag)
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
	if err != nil {
		panic(fmt.Sprintf("sdk: %s: %s %q is no number", f.where, tag, text))
	}
	return &n
}
