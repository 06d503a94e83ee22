package settings

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

func schema() provider.Schema {
	return provider.Schema{
		Attributes: []provider.Attribute{
			{Name: "s", Type: provider.TypeString, Default: []byte(`"d"`), OneOf: []string{"d", "e"}},
			{Name: "p", Type: provider.TypeString, Pattern: "^[a-z]*$"},
			{Name: "b", Type: provider.TypeBool},
			{Name: "i", Type: provider.TypeInt, Min: new(1.0), Max: new(9.0), Default: []byte(`3`)},
			{Name: "n", Type: provider.TypeNumber, Min: new(0.5)},
			{Name: "d", Type: provider.TypeDuration, Max: new(60.0)},
			{Name: "z", Type: provider.TypeBytes, Min: new(4096.0)},
			{Name: "l", Type: provider.TypeStringList, OneOf: []string{"x", "y"}},
			{Name: "m", Type: provider.TypeStringMap, Sensitive: true},
		},
		Blocks: []provider.Block{
			{Name: "one", Schema: provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeInt, Default: []byte(`7`)}}}},
			{Name: "ask", Schema: provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeInt, Required: true}}}},
			{Name: "many", Repeated: true, Schema: provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeString, Required: true}}}},
		},
	}
}

func TestCompleteFillsDefaults(t *testing.T) {
	for in, want := range map[string]string{
		``:     `{"s":"d","p":"","b":false,"i":3,"n":0,"d":"0s","z":"0B","l":[],"m":{},"one":{"a":7},"many":[]}`,
		`null`: `{"s":"d","p":"","b":false,"i":3,"n":0,"d":"0s","z":"0B","l":[],"m":{},"one":{"a":7},"many":[]}`,
		`{"s":"e","p":"q","b":true,"i":9,"n":0.5,"d":"1m","z":"4KiB","l":["x"],"m":{"k":"v"},"one":{"a":1},"ask":{"a":2},"many":[{"a":"b"}]}`: `{"s":"e","p":"q","b":true,"i":9,"n":0.5,"d":"1m","z":"4KiB","l":["x"],"m":{"k":"v"},"one":{"a":1},"ask":{"a":2},"many":[{"a":"b"}]}`,
		`{"i":null}`: `{"s":"d","p":"","b":false,"i":3,"n":0,"d":"0s","z":"0B","l":[],"m":{},"one":{"a":7},"many":[]}`,
	} {
		out, found := Complete(schema(), []byte(in))
		var got, wanted any
		if err := json.Unmarshal(out, &got); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %+v", in, err, found)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: got  %s\nwant %s", in, out, want)
		}
	}
}

func TestCompleteRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`{"s":"f"}`:        `s: "f" is not allowed. Allowed are d, e.`,
		`{"s":5}`:          `s: 5 is no string. Write a text in quotes.`,
		`{"p":"A"}`:        `p: "A" does not match ^[a-z]*$. Correct the value.`,
		`{"p":"a\u0000"}`:  `p: "a\x00" has a NUL in it. Remove it.`,
		`{"b":"yes"}`:      `b: "yes" is no bool. Write true or false.`,
		`{"i":0}`:          `i: 0 is below 1. Allowed is 1 to 9.`,
		`{"i":1.5}`:        `i: 1.5 is no int. Write a whole number, such as 8.`,
		`{"i":1e30}`:       `i: 1e30 is no int. Write a whole number, such as 8.`,
		`{"n":0.4}`:        `n: 0.4 is below 0.5. At least 0.5 is needed.`,
		`{"d":"2m"}`:       `d: 2m is above 1m0s. At most 1m0s is allowed.`,
		`{"d":5}`:          `d: 5 is no duration. Write a duration, such as "90s".`,
		`{"z":"1KiB"}`:     `z: 1KiB is below 4KiB. At least 4KiB is needed.`,
		`{"l":"x"}`:        `l: "x" is no list(string). Write a list of texts, such as ["a", "b"].`,
		`{"l":["x",null]}`: `l: ["x",null] is no list(string). Write a list of texts, such as ["a", "b"].`,
		`{"l":["q"]}`:      `l: "q" is not allowed. Allowed are x, y.`,
		`{"m":{"k":5}}`:    `m: the value is no map(string). Write a map of texts, such as {"a": "b"}.`,
		`{"ask":{}}`:       `ask.a: "a" is required. Set it: `,
		`{"ask":5}`:        `ask: 5 is no JSON object. Write {"name": value, …}.`,
		`{"many":{"a":1}}`: `many: {"a":1} is no list of blocks. Write [{…}, …].`,
		`{"many":[{}]}`:    `many.0.a: "a" is required. Set it: `,
		`{"one":{"q":1}}`:  `one.q: "q" is no setting. Remove it, or correct its name.`,
		`{"x":1}`:          `x: "x" is no setting. Remove it, or correct its name.`,
		`[]`:               `: [] is no JSON object. Write {"name": value, …}.`,
		`{"i":1} {"i":2}`:  `: the settings are no JSON: there is more than one JSON value. Give one JSON object, such as {}.`,
	} {
		out, found := Complete(schema(), []byte(in))
		if out != nil || len(found) != 1 {
			t.Errorf("%s: %s, %+v", in, out, found)
			continue
		}
		if got := strings.Join(found[0].Path, ".") + ": " + found[0].Summary + ". " + found[0].Detail; got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", in, got, want)
		}
	}
}
