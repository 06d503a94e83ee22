package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// explain tells in the API's words why data is not the message: which field it is and
// what it wants. cause is the parser's error, for what nothing else is said about.
func explain(data []byte, m proto.Message, cause error) error {
	if depth(data) > deepest {
		return fmt.Errorf("the body is nested over the limit of %d levels; give fields of plain values", deepest)
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	given, err := members(data)
	if err != nil {
		return fmt.Errorf("the body is no JSON object; give one such as {%q: …}", firstField(m))
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	seen := map[protoreflect.FieldNumber]bool{}
	for _, g := range given {
		field := fields.ByJSONName(g.name)
		if field == nil {
			field = fields.ByTextName(g.name)
		}
		if field == nil {
			return unknown(g.name, m)
		}
		if seen[field.Number()] {
			return fmt.Errorf("%s: is given twice; give it once", field.Name())
		}
		seen[field.Number()] = true
		if err := alone(g, field, m); err != nil {
			return err
		}
	}
	return errors.New(tidy(cause))
}

// alone tells what is wrong with one field, or nil.
func alone(g member, field protoreflect.FieldDescriptor, m proto.Message) error {
	if !utf8.Valid(g.value) {
		return notUTF8(field)
	}
	text, err := json.Marshal(map[string]json.RawMessage{g.name: g.value})
	if err != nil || protojson.Unmarshal(text, m.ProtoReflect().New().Interface()) == nil {
		return nil
	}
	if field.IsMap() {
		if key, twice := givenTwice(g.value); twice {
			return fmt.Errorf("%s: key %q is given twice; give it once", field.Name(), clip(key))
		}
	}
	return fmt.Errorf("%s: wants %s; this is %s", field.Name(), wanted(field), clip(string(g.value)))
}

func notUTF8(field protoreflect.FieldDescriptor) error {
	return fmt.Errorf("%s: is not UTF-8; give text in UTF-8", field.Name())
}

func unknown(name string, m proto.Message) error {
	d := m.ProtoReflect().Descriptor()
	if d.Fields().Len() == 0 {
		return fmt.Errorf("%s: is no field of %s, which has none", clip(name), d.Name())
	}
	var names []string
	for i := range d.Fields().Len() {
		names = append(names, string(d.Fields().Get(i).Name()))
	}
	return fmt.Errorf("%s: is no field of %s; it has %s", clip(name), d.Name(), strings.Join(names, ", "))
}

// wanted is what a field takes, for people.
func wanted(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return `an object of strings, such as {"key": "value"}`
	case field.IsList():
		return "a list"
	case field.Message() != nil && field.Message().FullName() == "google.protobuf.Timestamp":
		return `a time in RFC 3339, such as "2026-01-02T15:04:05Z"`
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.Int32Kind:
		return "a whole number of at most 2147483647"
	}
	return "a " + field.Kind().String()
}

func firstField(m proto.Message) string {
	if f := m.ProtoReflect().Descriptor().Fields(); f.Len() > 0 {
		return string(f.Get(0).Name())
	}
	return "…"
}

// tidy takes the parser's name from its words, and the length from what it quotes.
func tidy(err error) string {
	return clip(strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"))
}

// clip shortens what a caller wrote.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return text(s)
	}
	return text(s[:most]) + "…"
}
