package schemadoc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

func schemas() provider.Schemas {
	return provider.Schemas{Provider: provider.Schema{Doc: "A | B.", Attributes: []provider.Attribute{
		{Name: "a", Type: provider.TypeString, Doc: "First\nline | pipe.", Default: []byte(`"x"`), OneOf: []string{"x", "y"}},
		{Name: "b", Type: provider.TypeBytes, Required: true, Min: new(1024.0), Max: new(1048576.0)},
		{Name: "c", Type: provider.TypeString, Sensitive: true, Default: []byte(`"secret"`)},
		{Name: "d", Type: provider.TypeString, Pattern: "^(a|`)$"},
	}, Blocks: []provider.Block{{Name: "e", Repeated: true, Required: true, Doc: "Some.", Schema: provider.Schema{
		Attributes: []provider.Attribute{{Name: "f", Type: provider.TypeDuration, Max: new(90.0)}}}}}}}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := schemadoc.Markdown(&b, "x", schemas()); err != nil {
		t.Fatal(err)
	}
	want := "### `provider \"x\" { config { … } }`\n\nA \\| B.\n\n" +
		"| setting | type | default | what it is |\n| --- | --- | --- | --- |\n" +
		"| `a` | string | `\"x\"` | First line \\| pipe. One of `\"x\"`, `\"y\"`. |\n" +
		"| `b` | bytes | required | From 1KiB to 1MiB. |\n" +
		"| `c` | string |  | It is a secret: it is never shown. |\n" +
		"| `d` | string | `\"\"` | Must match `` ^(a\\|`)$ ``. |\n" +
		"| `e` | blocks, any number | required | Some. |\n" +
		"| `e.f` | duration | `\"0s\"` | At most 1m30s. |\n" +
		"\n### `template { config { … } }`\n\nThere are no settings.\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

// A sensitive default is in no form of the documentation.
func TestSecretsAreLeftOut(t *testing.T) {
	var b strings.Builder
	if err := schemadoc.Text(&b, "", schemas().Provider); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(schemadoc.JSON(schemas().Provider))
	if err != nil {
		t.Fatal(err)
	}
	if text := b.String() + string(j); strings.Contains(text, "secret\"") || !strings.Contains(text, `"sensitive":true`) {
		t.Errorf("%s", text)
	}
}
