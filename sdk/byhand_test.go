package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

type handConfig struct {
	Where  string    `berth:"where,optional" default:"here" oneof:"here,there" doc:"Where it is."`
	Secret string    `berth:"secret,optional,sensitive" default:"hush" doc:"A secret."`
	Size   sdk.Bytes `berth:"size,optional" default:"1MiB" max:"1GiB" doc:"How large."`
}

type handSandbox struct {
	Nice int64 `berth:"nice,required" min:"0" max:"19" doc:"How nice."`
}

// handy is a plugin that a person runs.
func handy() provider.Plugin {
	return sdk.Define(sdk.Definition[handConfig, handSandbox]{
		Name: "handy", Version: "3.2.1", Doc: "A provider for hands.",
		Validate: func(_ context.Context, c handConfig, templates map[string]sdk.TemplateOf[handSandbox]) (d provider.Diagnostics) {
			for name, t := range templates {
				if t.Network != "" {
					d = append(d, provider.Diagnostic{Severity: provider.SeverityError, Template: name, Path: []string{"template.network"},
						Summary: fmt.Sprintf("%s has no network %s", c.Where, t.Network), Detail: "Leave it out."})
				}
			}
			return d
		},
		Open: func(_ context.Context, env sdk.Env, c handConfig) (provider.Provider, error) {
			if c.Where != "here" || c.Size != 1<<20 {
				return nil, fmt.Errorf("opened with %+v: no defaults", c)
			}
			return mem.NewBackend("hand").Provider(), nil
		},
	})
}

func greet(_ context.Context, h sdk.Hand) int {
	info, err := h.Plugin.Info(context.Background())
	if err != nil || len(h.Args) != 1 {
		return sdk.StatusUsage
	}
	fmt.Fprintf(h.Out, "hello %s, says %s\n", h.Args[0], info.Name)
	return sdk.StatusDone
}

// hand runs the plugin's binary as a person does, with input on its standard input.
func hand(t *testing.T, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return handOf(t, "hand", input, args...)
}

// handOf is hand for the plugin of a mode.
func handOf(t *testing.T, mode, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = []string{pluginMode + "=" + mode}
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return status, out.String(), errs.String()
}

func TestByHandExplains(t *testing.T) {
	words := []string{"is a plugin of Berth. A host starts it: name it in a provider block, and run berth serve.",
		"describe [-o text|json] [FILE|-]", "validate [-o text|json] FILE|-", "greet NAME", "say hello", "these words", "The exit status is 0"}
	status, out, errs := hand(t, "")
	if status != 1 || out != "" {
		t.Errorf("no verb: status %d, stdout %q", status, out)
	}
	for _, verb := range []string{"help", "-h", "--help"} {
		status, out, more := hand(t, "", verb)
		if status != 0 || more != "" || out != errs {
			t.Errorf("%s: status %d, stderr %q, stdout\n%s\nwant\n%s", verb, status, more, out, errs)
		}
	}
	for _, w := range words {
		if !strings.Contains(errs, w) {
			t.Errorf("it does not say %q:\n%s", w, errs)
		}
	}
	if status, out, errs := hand(t, "", "serve"); status != 2 || out != "" || !strings.Contains(errs, `there is no verb "serve"`) {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	if status, out, errs := hand(t, "", "greet", "you"); status != 0 || out != "hello you, says handy\n" || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

func TestByHandDescribe(t *testing.T) {
	status, out, errs := hand(t, "", "describe")
	want := strings.Join([]string{
		`handy 3.2.1`,
		`A provider for hands.`,
		``,
		`protocol      1`,
		`features      none`,
		`capabilities  logs, events`,
		``,
		`provider "handy" { config { … } }`,
		`  where  string, default "here"`,
		`    Where it is. One of "here", "there".`,
		`  secret  string`,
		`    A secret. It is a secret: it is never shown.`,
		`  size  bytes, default "1MiB"`,
		`    How large. At most 1GiB.`,
		``,
		`template { config { … } }`,
		`  nice  int, required`,
		`    How nice. From 0 to 19.`,
		``}, "\n")
	want = strings.ReplaceAll(want, "\n    ", "\n      ")
	if status != 0 || errs != "" || out != want {
		t.Errorf("status %d, stderr %q\n%s\nwant\n%s", status, errs, out, want)
	}

	status, out, errs = hand(t, "", "describe", "-o", "json")
	var got struct {
		Name, Version string
		Protocol      int
		Capabilities  []string
		Schemas       map[string]struct {
			Attributes []struct {
				Name, Type string
				Required   bool
				Default    json.RawMessage
				OneOf      []string `json:"one_of"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || errs != "" {
		t.Fatalf("%v: status %d, %q\n%s", err, status, errs, out)
	}
	p, s := got.Schemas["provider"].Attributes, got.Schemas["sandbox"].Attributes
	if got.Name != "handy" || got.Version != "3.2.1" || got.Protocol != 1 || fmt.Sprint(got.Capabilities) != "[logs events]" ||
		len(p) != 3 || p[0].Name != "where" || string(p[0].Default) != `"here"` || len(p[0].OneOf) != 2 || len(s) != 1 || !s[0].Required {
		t.Errorf("%+v", got)
	}
	if strings.Contains(out, "hush") {
		t.Error("it tells a sensitive default")
	}
	// What Open refuses is told, and the rest with it.
	status, out, errs = hand(t, `{"config": {"where": "there"}}`, "describe", "-")
	if status != 0 || errs != "" || !strings.Contains(out, "capabilities  unknown: opened with {Where:there") {
		t.Errorf("status %d, stderr %q\n%s", status, errs, out)
	}
	status, out, _ = hand(t, `{"config": {"where": "nowhere"}}`, "describe", "-o", "json", "-")
	if status != 0 || !strings.Contains(out, `"capabilities": null`) || !strings.Contains(out, `"capabilities_unknown": "it can't be opened with these settings: `) {
		t.Errorf("status %d\n%s", status, out)
	}
	for _, args := range [][]string{{"describe", "missing-file"}, {"describe", "a", "b"}, {"describe", "-o", "yaml"}, {"describe", "-o"}, {"describe", "-x"}} {
		if status, out, errs := hand(t, "", args...); status != 2 || out != "" || !strings.HasPrefix(errs, "describe: ") {
			t.Errorf("%q: status %d, %q, %q", args, status, out, errs)
		}
	}
}

func TestByHandValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(file, []byte(`{"config": {"where": "there"}, "templates": {"t": {"config": {"nice": 3}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := hand(t, "", "validate", file); status != 0 || out != file+" is valid\n" || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	for _, c := range []struct {
		in     string
		status int
		words  []string
	}{
		{`{}`, 0, []string{"standard input is valid"}},
		{`{"config": {"where": "nowhere"}}`, 1, []string{`error: config.where: "nowhere" is not allowed`, "Allowed are here, there."}},
		{`{"config": {"size": "2GiB"}}`, 1, []string{"error: config.size: 2GiB is above 1GiB", "At most 1GiB is allowed."}},
		{`{"config": {"size": 5}}`, 1, []string{`error: config.size: 5 is no bytes`, `Write a size, such as "512MiB".`}},
		{`{"config": {"secret": 77777}}`, 1, []string{"error: config.secret: the value is no string"}},
		{`{"config": {"wher": "here"}}`, 1, []string{`error: config.wher: "wher" is no setting`}},
		{`{"templates": {"t": {"config": {"nice": 20}}}}`, 1, []string{"error: templates.t.config.nice: 20 is above 19"}},
		{`{"templates": {"t": {}}}`, 1, []string{`error: templates.t.config.nice: "nice" is required`}},
		{`{"config": {"where": "there"}, "templates": {"t": {"network": "n", "config": {"nice": 1}}}}`, 1,
			[]string{"error: templates.t.network: there has no network n", "Leave it out."}},
		{`{"confg": {}}`, 2, []string{`unknown field "confg"`, `give {"config": {…}`}},
		{`hello`, 2, []string{"standard input: "}},
		{`{} {}`, 2, []string{"more than one JSON value"}},
		{``, 2, []string{"standard input: "}},
	} {
		status, out, errs := hand(t, c.in, "validate", "-")
		for _, w := range c.words {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%s: it does not say %q: %q %q", c.in, w, out, errs)
			}
		}
		if status != c.status || strings.Contains(out+errs, "77777") || status < 2 && errs != "" || status == 2 && out != "" {
			t.Errorf("%s: status %d, want %d; stdout %q, stderr %q", c.in, status, c.status, out, errs)
		}
	}
	status, out, _ := hand(t, `{"config": {"where": "nowhere"}}`, "validate", "-o", "json", "-")
	var got struct {
		Valid       bool
		Diagnostics []struct {
			Severity, Summary string
			Path              []string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 1 || got.Valid || len(got.Diagnostics) != 1 || got.Diagnostics[0].Path[0] != "where" {
		t.Errorf("%v: status %d, %s", err, status, out)
	}
	// What the schemas refuse, the plugin does not see.
	_, out, _ = hand(t, `{"config": {"where": "nowhere"}, "templates": {"t": {"network": "n", "config": {"nice": 1}}}}`, "validate", "-")
	if strings.Contains(out, "network") || !strings.Contains(out, "nowhere") {
		t.Errorf("the plugin has judged: %s", out)
	}
	for _, args := range [][]string{{"validate"}, {"validate", "a", "b"}, {"validate", file + "-missing"}} {
		if status, out, errs := hand(t, "", args...); status != 2 || out != "" || !strings.HasPrefix(errs, "validate: ") {
			t.Errorf("%q: status %d, %q, %q", args, status, out, errs)
		}
	}
}
