package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// explain tells in the API's words why data is not the message: which field it is and
// what it wants. cause is the parser's error, for what is wrong with the JSON itself.
func explain(data []byte, m proto.Message, cause error) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil || given == nil {
		if json.Valid(data) {
			return fmt.Errorf("the body is no JSON object; give one such as {%q: …}", firstField(m))
		}
		return fmt.Errorf("the body is not JSON: %s", tidy(cause))
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := fields.ByJSONName(name)
		if field == nil {
			field = fields.ByTextName(name)
		}
		if field == nil {
			return unknown(name, m)
		}
		alone, err := json.Marshal(map[string]json.RawMessage{name: given[name]})
		if err != nil {
			continue
		}
		if protojson.Unmarshal(alone, m.ProtoReflect().New().Interface()) != nil {
			return fmt.Errorf("%s: wants %s; this is %s", field.Name(), wanted(field), clip(string(given[name])))
		}
	}
	return errors.New(tidy(cause)) // a field that is given twice
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
	return clipTo(strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"), 160)
}

// clip shortens what a caller wrote.
func clip(s string) string { return clipTo(s, 64) }

func clipTo(s string, most int) string {
	if len(s) <= most {
		return text(s)
	}
	return text(s[:most]) + "…"
}
