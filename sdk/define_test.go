package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

type every struct {
	S   string            `berth:"s,optional" default:"a" oneof:"a,b" doc:"A string."`
	B   bool              `berth:"b,optional"`
	I   int64             `berth:"i,required" min:"1" max:"9"`
	F   float64           `berth:"f,optional"`
	D   time.Duration     `berth:"d,optional" default:"5s" min:"1s"`
	Z   sdk.Bytes         `berth:"z,optional" default:"1MiB" max:"1GiB"`
	L   []string          `berth:"l,optional" default:"[\"x\"]" pattern:"^x"`
	M   map[string]string `berth:"m,optional,sensitive"`
	One struct {
		A string `berth:"a,required"`
	} `berth:"one,optional"`
	Ptr  *nested  `berth:"ptr,optional"`
	Many []nested `berth:"many,required" doc:"Some."`
	Skip int      `berth:"-"`
}

type nested struct {
	A int64 `berth:"a,optional"`
}

func TestSchemaOf(t *testing.T) {
	got := sdk.SchemaOf[every]()
	a := provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeInt}}}
	want := provider.Schema{
		Attributes: []provider.Attribute{
			{Name: "s", Type: provider.TypeString, Doc: "A string.", Default: []byte(`"a"`), OneOf: []string{"a", "b"}},
			{Name: "b", Type: provider.TypeBool},
			{Name: "i", Type: provider.TypeInt, Required: true, Min: new(1.0), Max: new(9.0)},
			{Name: "f", Type: provider.TypeNumber},
			{Name: "d", Type: provider.TypeDuration, Default: []byte(`"5s"`), Min: new(1.0)},
			{Name: "z", Type: provider.TypeBytes, Default: []byte(`"1MiB"`), Max: new(float64(1 << 30))},
			{Name: "l", Type: provider.TypeStringList, Default: []byte(`["x"]`), Pattern: "^x"},
			{Name: "m", Type: provider.TypeStringMap, Sensitive: true},
		},
		Blocks: []provider.Block{
			{Name: "one", Schema: provider.Schema{Attributes: []provider.Attribute{{Name: "a", Type: provider.TypeString, Required: true}}}},
			{Name: "ptr", Schema: a},
			{Name: "many", Doc: "Some.", Repeated: true, Required: true, Schema: a},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSchemaOfRefuses(t *testing.T) {
	for _, c := range []struct {
		words  string
		schema func() provider.Schema
	}{
		{"settings are a struct with tags, not string", sdk.SchemaOf[string]},
		{"X: a setting can't be of type int", sdk.SchemaOf[struct {
			X int `berth:"x"`
		}]},
		{"a setting can't be of type chan bool", sdk.SchemaOf[struct {
			X chan bool `berth:"x"`
		}]},
		{"a setting can't be of type []int64", sdk.SchemaOf[struct {
			X []int64 `berth:"x"`
		}]},
		{"X has no berth tag", sdk.SchemaOf[struct{ X string }]},
		{`"optionl" in its berth tag is none of optional, required, sensitive`, sdk.SchemaOf[struct {
			X string `berth:"x,optionl"`
		}]},
		{`"Big" is no name for a setting`, sdk.SchemaOf[struct {
			X string `berth:"Big"`
		}]},
		{`"x" is no name for a setting; use snake case, each name once`, sdk.SchemaOf[struct {
			X string `berth:"x"`
			Y string `berth:"x"`
		}]},
		{`default "soon"`, sdk.SchemaOf[struct {
			X time.Duration `berth:"x" default:"soon"`
		}]},
		{`min "few" is no number`, sdk.SchemaOf[struct {
			X int64 `berth:"x" min:"few"`
		}]},
	} {
		t.Run(c.words, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.words) {
					t.Errorf("panic %q, want %q", got, c.words)
				}
			}()
			c.schema()
		})
	}
}

func TestDecode(t *testing.T) {
	got, err := sdk.Decode[every]([]byte(`{"s":"b","b":true,"i":-3,"f":0.5,"d":"1m","z":"1.5KiB","l":["x","y"],"m":{"k":"v"},
		"one":{"a":"in"},"ptr":{"a":1},"many":[{"a":2},{}]}`))
	want := every{S: "b", B: true, I: -3, F: 0.5, D: time.Minute, Z: 1536, L: []string{"x", "y"}, M: map[string]string{"k": "v"},
		Ptr: &nested{1}, Many: []nested{{2}, {}}}
	want.One.A = "in"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, empty := range []string{``, ` `, `{}`, `null`, `{"s":null,"d":null,"z":null,"ptr":null,"many":null}`} {
		if got, err := sdk.Decode[every]([]byte(empty)); err != nil || !reflect.DeepEqual(got, every{}) {
			t.Errorf("%q: %+v, %v", empty, got, err)
		}
	}
	if got, err := sdk.Decode[every]([]byte(`{"d":"0s","z":"0B"}`)); err != nil || got.D != 0 || got.Z != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for in, words := range map[string]string{
		`{"x":1}`:             `"x" is no setting`,
		`{"d":"soon"}`:        `d: time: invalid duration "soon"`,
		`{"z":"5"}`:           `z: "5" is no size in whole bytes with a unit: Write "5B" for bytes`,
		`{"z":"-1B"}`:         `z: "-1B" is no size`,
		`{"z":"0.5B"}`:        `z: "0.5B" is no size`,
		`{"z":"NaNB"}`:        `is no size`,
		`{"z":"99999999TiB"}`: `is no size`,
		`{"i":"1"}`:           `i: `,
		`{"i":1.5}`:           `i: `,
		`{"many":[{"b":1}]}`:  `many: 0: "b" is no setting`,
		`{"many":{"a":1}}`:    `many: `,
		`[]`:                  `cannot unmarshal`,
	} {
		if _, err := sdk.Decode[every]([]byte(in)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", in, err, words)
		}
	}
}

type conf struct {
	Where string `berth:"where,optional"`
}

// closing is a provider that is closed, and has no abilities beyond the core.
type closing struct {
	provider.Provider
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

func define(open func(sdk.Env, conf) (provider.Provider, error)) provider.Plugin {
	return sdk.Define(sdk.Definition[conf, conf]{
		Name: "test", Version: "1", Doc: "doc",
		Validate: func(_ context.Context, c conf, templates map[string]sdk.TemplateOf[conf]) (d provider.Diagnostics) {
			for name, t := range templates {
				d = append(d, provider.Diagnostic{Severity: provider.SeverityError, Summary: c.Where + t.Config.Where + t.Image, Template: name})
			}
			return d
		},
		Open: func(_ context.Context, env sdk.Env, c conf) (provider.Provider, error) { return open(env, c) },
	})
}

func TestDefine(t *testing.T) {
	ctx := t.Context()
	opened := &closing{Provider: mem.NewBackend("b").Provider()}
	fail := true
	p := define(func(env sdk.Env, c conf) (provider.Provider, error) {
		if env.Logger == nil || env.TracerProvider == nil || env.Owner != "me" || c.Where != "here" {
			t.Errorf("opened with %+v, %+v", env, c)
		}
		if fail {
			return nil, &provider.Error{Class: provider.InvalidArgument, Message: "not so"}
		}
		return opened, nil
	})
	if i, err := p.Info(ctx); err != nil || i.Name != "test" || i.Version != "1" {
		t.Error(i, err)
	}
	d, err := p.Validate(ctx, provider.ValidateRequest{Config: []byte(`{"where":"a"}`),
		Sandboxes: map[string][]byte{"t": []byte(`{"where":"b"}`)}, Templates: map[string]provider.TemplateInfo{"t": {Image: "c"}}})
	if err != nil || len(d) != 1 || d[0].Summary != "abc" || d[0].Template != "t" {
		t.Error(d, err)
	}
	if _, err := p.Provider().Identity(ctx); !errors.Is(err, provider.Unavailable) {
		t.Errorf("before configure: %v", err)
	}
	req := provider.ConfigureRequest{Config: []byte(`{"where":"here"}`), Owner: "me"}
	if _, err := p.Configure(ctx, req); !errors.Is(err, provider.InvalidArgument) {
		t.Errorf("open fails: %v", err)
	}
	if _, err := p.Configure(ctx, provider.ConfigureRequest{Config: []byte(`{"wher":1}`)}); !errors.Is(err, provider.InvalidArgument) || !strings.Contains(err.Error(), `"wher" is no setting`) {
		t.Errorf("unknown setting: %v", err)
	}
	fail = false
	if c, err := p.Configure(ctx, req); err != nil || len(c.Capabilities) != 0 {
		t.Error(c, err)
	}
	if _, err := p.Configure(ctx, req); !errors.Is(err, provider.Conflict) {
		t.Errorf("configured twice: %v", err)
	}
	if id, err := p.Provider().Identity(ctx); err != nil || id != "b" {
		t.Error(id, err)
	}
	if err := p.Provider().(provider.LogReader).Logs(ctx, provider.LogsRequest{}, nil); !errors.Is(err, provider.Unsupported) {
		t.Errorf("logs: %v", err)
	}
	if err := p.Drain(ctx); err != nil || opened.closed != 1 {
		t.Error(err, opened.closed)
	}
	if _, err := p.Provider().Identity(ctx); !errors.Is(err, provider.Unavailable) {
		t.Errorf("after drain: %v", err)
	}
}

func TestDefineRefuses(t *testing.T) {
	for what, d := range map[string]sdk.Definition[conf, conf]{
		"no name": {Open: func(context.Context, sdk.Env, conf) (provider.Provider, error) { return nil, nil }},
		"no open": {Name: "x"},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, "a Definition needs Name and Open") {
					t.Error(got)
				}
			}()
			sdk.Define(d)
		})
	}
	p := define(func(sdk.Env, conf) (provider.Provider, error) { return nil, nil })
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); !errors.Is(err, provider.Internal) {
		t.Errorf("opened nothing: %v", err)
	}
}

func ExampleDefine() {
	type Config struct {
		Root string `berth:"root,optional" default:"/srv" doc:"Where sandboxes live."`
	}
	type Sandbox struct {
		Nice int64 `berth:"nice,optional" default:"10" min:"0" max:"19" doc:"Scheduling priority."`
	}
	plugin := sdk.Define(sdk.Definition[Config, Sandbox]{
		Name:    "example",
		Version: "1.0.0",
		Open: func(_ context.Context, env sdk.Env, c Config) (provider.Provider, error) {
			env.Logger.Info("open", "root", c.Root)
			return mem.NewBackend("example").Provider(), nil
		},
	})
	// A plugin's main is: sdk.Serve(plugin). A host that links it in calls it itself:
	configured, err := plugin.Configure(context.Background(), provider.ConfigureRequest{Owner: "owner"})
	fmt.Println(configured.Capabilities, err)
	// Output: [logs events] <nil>
}
