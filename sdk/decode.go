package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Decode reads settings as the host sends them, a JSON object, into a struct with tags;
// see [SchemaOf]. Nothing, and null, are the zero value. An unknown name is an error.
func Decode[T any](values []byte) (T, error) {
	var out T
	if len(bytes.TrimSpace(values)) == 0 {
		return out, nil
	}
	err := decodeBlock(reflect.ValueOf(&out).Elem(), values)
	return out, err
}

func decodeBlock(v reflect.Value, values []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(values, &object); err != nil {
		return err
	}
	for _, f := range fieldsOf(v.Type()) {
		raw, ok := object[f.name]
		delete(object, f.name)
		if !ok || isNull(raw) {
			continue
		}
		var err error
		if f.block == nil {
			err = decodeAttribute(v.Field(f.index), raw)
		} else {
			err = decodeBlocks(v.Field(f.index), f, raw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for name := range object {
		return fmt.Errorf("%q is no setting", name)
	}
	return nil
}

func decodeBlocks(v reflect.Value, f field, raw json.RawMessage) error {
	if !f.repeated {
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(f.block))
			v = v.Elem()
		}
		return decodeBlock(v, raw)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	blocks := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, one := range list {
		if err := decodeBlock(blocks.Index(i), one); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	v.Set(blocks)
	return nil
}

func decodeAttribute(v reflect.Value, raw json.RawMessage) error {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		text, err := decodeText(raw)
		if err != nil {
			return err
		}
		*p, err = time.ParseDuration(text)
		return err
	case *Bytes:
		text, err := decodeText(raw)
		if err != nil {
			return err
		}
		*p, err = ParseBytes(text)
		return err
	default:
		return json.Unmarshal(raw, p)
	}
}

func decodeText(raw json.RawMessage) (text string, err error) {
	err = json.Unmarshal(raw, &text)
	return text, err
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }
