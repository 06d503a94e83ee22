package sdk

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// SchemaOf derives a schema from a struct's tags. It panics, naming the field, when one
// can't be described, or has a tag that would not be kept.
//
// Each exported field is a setting with the tag
//
//	berth:"name,optional"    or    berth:"name,required"    and after them ",sensitive"
//
// and these, where they make sense:
//
//	doc         one or two sentences for people
//	default     on an optional attribute; lists and maps as JSON
//	oneof       the values allowed, comma separated: for string and the elements of []string
//	pattern     what must match (RE2), without oneof: for string and the elements of []string
//	min, max    inclusive: for int64, float64, [time.Duration] ("5s") and [Bytes] ("4KiB")
//
// The types are string, bool, int64, float64, [time.Duration], [Bytes], []string and
// map[string]string. A struct is a block that may be there once, a pointer to one is nil
// when it is not there, and a slice of structs is a block that may be there any number of
// times. A block can't contain itself. Of the rest it takes doc, and required: for a
// struct, where something in it is required too.
func SchemaOf[T any]() provider.Schema { return schemaOf(reflect.TypeFor[T](), nil) }

// schemaOf describes t, which is a block inside the structs of outer.
func schemaOf(t reflect.Type, outer []reflect.Type) provider.Schema {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("sdk: settings are a struct with tags, not %s", t))
	}
	outer = append(slices.Clip(outer), t)
	var s provider.Schema
	for _, f := range fieldsOf(t) {
		if f.block != nil {
			s.Blocks = append(s.Blocks, f.schemaBlock(outer))
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
	nilable  bool // a block that is nil when it is not there
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
		if !sf.IsExported() {
			panic(fmt.Sprintf("sdk: %s.%s has a berth tag but is not exported; begin its name with a capital letter", t, sf.Name))
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
		f.block, f.nilable = t.Elem(), true
	case t.Kind() == reflect.Struct:
		f.block = t
	default:
		panic(fmt.Sprintf("sdk: %s: a setting can't be of type %s", f.where, t))
	}
}
