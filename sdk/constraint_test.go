package sdk_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// Blocks that contain themselves.
type (
	byPointer struct {
		Next *byPointer `berth:"next,optional"`
	}
	bySlice struct {
		Name  string    `berth:"name,optional"`
		Parts []bySlice `berth:"parts,optional"`
	}
	here struct {
		There []there `berth:"there,optional"`
	}
	there struct {
		Back *here `berth:"back,optional"`
	}
	above struct {
		Loop byPointer `berth:"loop,optional"`
	}
)

// panics has call panic with the words.
func panics(t *testing.T, words string, call func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "sdk: ") || !strings.Contains(got, words) {
			t.Errorf("panic %q, want %q", got, words)
		}
	}()
	call()
}

func TestSchemaOfRefusesBlocks(t *testing.T) {
	for _, c := range []struct {
		words  string
		schema func() provider.Schema
	}{
		{"sdk_test.byPointer.Next: a block can't contain itself: sdk_test.byPointer > sdk_test.byPointer", sdk.SchemaOf[byPointer]},
		{"sdk_test.bySlice.Parts: a block can't contain itself: sdk_test.bySlice > sdk_test.bySlice", sdk.SchemaOf[bySlice]},
		{"sdk_test.there.Back: a block can't contain itself: sdk_test.here > sdk_test.there > sdk_test.here", sdk.SchemaOf[here]},
		{"sdk_test.byPointer.Next: a block can't contain itself: sdk_test.byPointer > sdk_test.byPointer", sdk.SchemaOf[above]},
		{"X: default is for attributes, and this is a block; set it on the fields of sdk_test.nested", sdk.SchemaOf[struct {
			X nested `berth:"x" default:"{}"`
		}]},
		{"X: oneof is for attributes, and this is a block", sdk.SchemaOf[struct {
			X []nested `berth:"x" oneof:"a,b"`
		}]},
		{"X: min is for attributes, and this is a block", sdk.SchemaOf[struct {
			X []nested `berth:"x" min:"1"`
		}]},
		{"X: max is for attributes, and this is a block", sdk.SchemaOf[struct {
			X *nested `berth:"x" max:"1"`
		}]},
		{"X: pattern is for attributes, and this is a block", sdk.SchemaOf[struct {
			X *nested `berth:"x" pattern:"a"`
		}]},
		{"X: sensitive is for attributes, and this is a block", sdk.SchemaOf[struct {
			X *nested `berth:"x,sensitive"`
		}]},
		{"X: a required block in which nothing is required says nothing; make it optional", sdk.SchemaOf[struct {
			X nested `berth:"x,required"`
		}]},
		{"has a berth tag but is not exported; begin its name with a capital letter", sdk.SchemaOf[struct {
			x string `berth:"x,optional"`
		}]},
	} {
		t.Run(c.words, func(t *testing.T) { panics(t, c.words, func() { c.schema() }) })
	}
}

func TestSchemaOfRefusesConstraints(t *testing.T) {
	for _, c := range []struct {
		words  string
		schema func() provider.Schema
	}{
		{`X: min "1" is for int, number, duration, bytes, and this is string; leave it out`, sdk.SchemaOf[struct {
			X string `berth:"x" min:"1"`
		}]},
		{`X: max "9" is for int, number, duration, bytes, and this is bool`, sdk.SchemaOf[struct {
			X bool `berth:"x" max:"9"`
		}]},
		{`X: max "9" is for int, number, duration, bytes, and this is list(string)`, sdk.SchemaOf[struct {
			X []string `berth:"x" max:"9"`
		}]},
		{`X: min "9" is more than max "1"`, sdk.SchemaOf[struct {
			X int64 `berth:"x" min:"9" max:"1"`
		}]},
		{`X: min "1m" is more than max "59s"`, sdk.SchemaOf[struct {
			X time.Duration `berth:"x" min:"1m" max:"59s"`
		}]},
		{`X: min "1GiB" is more than max "1MiB"`, sdk.SchemaOf[struct {
			X sdk.Bytes `berth:"x" min:"1GiB" max:"1MiB"`
		}]},
		{`X: max "inf" is no number`, sdk.SchemaOf[struct {
			X float64 `berth:"x" max:"inf"`
		}]},
		{`X: min "NaN" is no number`, sdk.SchemaOf[struct {
			X float64 `berth:"x" min:"NaN"`
		}]},
		{`X: oneof "1,2" is for string, list(string), and this is int`, sdk.SchemaOf[struct {
			X int64 `berth:"x" oneof:"1,2"`
		}]},
		{`X: oneof "a" is for string, list(string), and this is map(string)`, sdk.SchemaOf[struct {
			X map[string]string `berth:"x" oneof:"a"`
		}]},
		{`X: oneof allows no value`, sdk.SchemaOf[struct {
			X string `berth:"x" oneof:""`
		}]},
		{`X: pattern "^5" is for string, list(string), and this is duration`, sdk.SchemaOf[struct {
			X time.Duration `berth:"x" pattern:"^5"`
		}]},
		{`X: pattern "(?=a)" is no regular expression (RE2): error parsing regexp`, sdk.SchemaOf[struct {
			X string `berth:"x" pattern:"(?=a)"`
		}]},
		{`X: pattern "(" is no regular expression (RE2)`, sdk.SchemaOf[struct {
			X []string `berth:"x" pattern:"("`
		}]},
		{`X: pattern and oneof together`, sdk.SchemaOf[struct {
			X string `berth:"x" pattern:"a" oneof:"a,b"`
		}]},
		{`X: default "a" is never used, because the setting is required; make it optional, or leave default out`, sdk.SchemaOf[struct {
			X string `berth:"x,required" default:"a"`
		}]},
		{`X: default "" is never used`, sdk.SchemaOf[struct {
			X string `berth:"x,required" default:""`
		}]},
	} {
		t.Run(c.words, func(t *testing.T) { panics(t, c.words, func() { c.schema() }) })
	}
}

// TestDefineRefusesSettings wants the same of both structs of a definition.
func TestDefineRefusesSettings(t *testing.T) {
	panics(t, "a block can't contain itself", func() {
		sdk.Define(sdk.Definition[conf, here]{Name: "x", Open: func(context.Context, sdk.Env, conf) (provider.Provider, error) { return nil, nil }})
	})
	panics(t, "a block can't contain itself", func() {
		sdk.Define(sdk.Definition[here, conf]{Name: "x", Open: func(context.Context, sdk.Env, here) (provider.Provider, error) { return nil, nil }})
	})
}

// TestSchemaOfTakes has what is close to the refused.
func TestSchemaOfTakes(t *testing.T) {
	type demanding struct {
		A string `berth:"a,required"`
	}
	type holder struct {
		D demanding `berth:"d,required"`
	}
	got := sdk.SchemaOf[struct {
		L      []string  `berth:"l,optional" oneof:"a,b"`
		N      float64   `berth:"n,optional" min:"-1" max:"-1"`
		Z      sdk.Bytes `berth:"z,optional" min:"0B" max:"1TiB"`
		Twice  demanding `berth:"twice,required"`
		Again  holder    `berth:"again,required"` // required by what is in it
		Ptr    *nested   `berth:"ptr,required"`
		hidden int
		left   string `berth:"-"`
	}]()
	inner := provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeString, Required: true}}}
	want := provider.Schema{
		Attributes: []provider.Attribute{
			{Name: "l", Type: provider.TypeStringList, OneOf: []string{"a", "b"}},
			{Name: "n", Type: provider.TypeNumber, Min: new(-1.0), Max: new(-1.0)},
			{Name: "z", Type: provider.TypeBytes, Min: new(0.0), Max: new(float64(1 << 40))},
		},
		Blocks: []provider.Block{
			{Name: "twice", Required: true, Schema: inner},
			{Name: "again", Required: true, Schema: provider.Schema{Blocks: []provider.Block{{Name: "d", Required: true, Schema: inner}}}},
			{Name: "ptr", Required: true, Schema: provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeInt}}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]sdk.Bytes{"9223372036854775807B": 1<<63 - 1, "8388607TiB": 8388607 << 40, "9007199254740993B": 1<<53 + 1, "1.5KiB": 1536} {
		if got, err := sdk.ParseBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"9223372036854775808B", "1e3B", "0x1B", "+1B", "512", "0.5B"} {
		if got, err := sdk.ParseBytes(text); err == nil || got != 0 {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}
