package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/berth-dev/berth/sdk/bytesize"
	"github.com/berth-dev/berth/sdk/provider"
)

var schemaChecks = []check{
	{name: "schemas are sane",
		promise: "Schemas has names in snake case, each once, known types, defaults that the settings' own constraints allow, and bounds that can be met", run: checkSchemas},
	{name: "schemas never change",
		promise: "Schemas answers the same in every call and every generation of one version", run: checkSchemasStable},
}

func checkSchemas(e *env) {
	g := e.raw()
	all, err := g.plugin.Schemas(e.Context())
	e.ok(err, "asked Schemas of a plugin that was just started", "two schemas")
	for name, s := range map[string]provider.Schema{"provider": all.Provider, "sandbox": all.Sandbox} {
		e.schema(name, s)
	}
}

func checkSchemasStable(e *env) {
	var first provider.Schemas
	for i := range 3 {
		g := e.raw()
		for range 2 {
			s, err := g.plugin.Schemas(e.Context())
			e.ok(err, "asked Schemas", "two schemas")
			if i == 0 && reflect.DeepEqual(first, provider.Schemas{}) {
				first = s
			}
			if !reflect.DeepEqual(s, first) {
				e.fatal(fmt.Sprintf("asked Schemas of generation %d", i+1), fmt.Sprintf("%s\nwhere it was\n%s", asJSON(s), asJSON(first)), "the same answer as before")
			}
		}
		e.closed(g)
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(b)
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// schema checks one block of settings, and those in it.
func (e *env) schema(where string, s provider.Schema) {
	seen := map[string]bool{}
	name := func(n string) {
		if !snakeCase.MatchString(n) {
			e.broken("read the schema "+where, fmt.Sprintf("the name %q", n), "snake case: a letter, then letters, digits and underscores, all lower case")
		}
		if seen[n] {
			e.broken("read the schema "+where, fmt.Sprintf("the name %q twice", n), "each name once among the attributes and blocks of one block")
		}
		seen[n] = true
	}
	for _, a := range s.Attributes {
		name(a.Name)
		if wrong := attributeFault(a); wrong != "" {
			e.broken("read the schema "+where, fmt.Sprintf("%s: %s", a.Name, wrong), "a setting that an operator can write, and whose default is allowed")
		}
	}
	for _, b := range s.Blocks {
		name(b.Name)
		e.schema(where+"."+b.Name, b.Schema)
	}
}

// amounts are the types that may have bounds, texts those that may have a pattern.
var (
	amounts = []provider.Type{provider.TypeInt, provider.TypeNumber, provider.TypeDuration, provider.TypeBytes}
	texts   = []provider.Type{provider.TypeString, provider.TypeStringList}
	others  = []provider.Type{provider.TypeBool, provider.TypeStringMap}
)

// attributeFault says what is wrong with an attribute, "" for nothing.
func attributeFault(a provider.Attribute) string {
	amount, text := slices.Contains(amounts, a.Type), slices.Contains(texts, a.Type)
	switch {
	case !amount && !text && !slices.Contains(others, a.Type):
		return fmt.Sprintf("the type %q is none of the contract's", a.Type)
	case a.Required && a.Default != nil:
		return "it is required, so its default is never used"
	case (a.Min != nil || a.Max != nil) && !amount:
		return fmt.Sprintf("a bound for the type %s", a.Type)
	case a.Min != nil && a.Max != nil && !(*a.Min <= *a.Max):
		return fmt.Sprintf("its min %v is more than its max %v", *a.Min, *a.Max)
	case (a.Pattern != "" || a.OneOf != nil) && !text:
		return fmt.Sprintf("a pattern or a list of values for the type %s", a.Type)
	}
	if _, err := regexp.Compile(a.Pattern); err != nil {
		return fmt.Sprintf("its pattern is no RE2 expression: %v", err)
	}
	if a.Default == nil {
		return ""
	}
	return defaultFault(a)
}

// defaultFault says what is wrong with a default.
func defaultFault(a provider.Attribute) string {
	bad := func(err error) string { return fmt.Sprintf("its default %s is no %s: %v", a.Default, a.Type, err) }
	into := map[provider.Type]any{provider.TypeString: new(string), provider.TypeBool: new(bool), provider.TypeInt: new(int64),
		provider.TypeNumber: new(float64), provider.TypeDuration: new(string), provider.TypeBytes: new(string),
		provider.TypeStringList: new([]string), provider.TypeStringMap: new(map[string]string)}[a.Type]
	d := json.NewDecoder(bytes.NewReader(a.Default))
	if err := d.Decode(into); err != nil {
		return bad(err)
	}
	amount := math.NaN()
	var values []string
	switch v := into.(type) {
	case *int64:
		amount = float64(*v)
	case *float64:
		amount = *v
	case *[]string:
		values = *v
	case *string:
		var err error
		switch a.Type {
		case provider.TypeDuration:
			amount, err = seconds(*v)
		case provider.TypeBytes:
			var n int64
			n, err = bytesize.Parse(*v)
			amount = float64(n)
		default:
			values = []string{*v}
		}
		if err != nil {
			return bad(err)
		}
	}
	if a.Min != nil && amount < *a.Min || a.Max != nil && amount > *a.Max {
		return fmt.Sprintf("its default %s is beyond its own bounds", a.Default)
	}
	for _, v := range values {
		if a.OneOf != nil && !slices.Contains(a.OneOf, v) {
			return fmt.Sprintf("its default %q is none of the values allowed, %q", v, a.OneOf)
		}
		if a.Pattern != "" && !regexp.MustCompile(a.Pattern).MatchString(v) {
			return fmt.Sprintf("its default %q does not match its own pattern", v)
		}
	}
	return ""
}

// seconds reads a duration as an operator writes it.
func seconds(text string) (float64, error) {
	d, err := time.ParseDuration(text)
	return d.Seconds(), err
}
