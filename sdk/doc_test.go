package sdk_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// The program of the package's documentation, line by line; TestMain calls its main.

type Config struct {
	Root string `berth:"root,required" doc:"Where sandboxes live."`
}

type Sandbox struct {
	Nice int64 `berth:"nice,optional" default:"10" min:"0" max:"19" doc:"Scheduling priority."`
}

func main() {
	sdk.Serve(sdk.Define(sdk.Definition[Config, Sandbox]{
		Name:    "process",
		Version: "1.0.0",
		Open: func(ctx context.Context, env sdk.Env, c Config) (provider.Provider, error) {
			return open(env, c)
		},
	}))
}

// open is what the documentation leaves to the author.
func open(sdk.Env, Config) (provider.Provider, error) {
	return mem.NewBackend("documented").Provider(), nil
}

// The program runs: it describes itself, and judges settings.
func TestDocumentedProgram(t *testing.T) {
	status, out, errs := handOf(t, "documented", "", "describe")
	for _, line := range []string{"process 1.0.0\n", "  root  string, required\n      Where sandboxes live.\n", "  nice  int, default 10\n      Scheduling priority. From 0 to 19.\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("status %d, %s; it does not say %q:\n%s", status, errs, line, out)
		}
	}
	if status, out, errs := handOf(t, "documented", `{"config": {"root": "/r"}, "templates": {"a": {"config": {"nice": 20}}}}`, "validate", "-"); status != 1 || !strings.Contains(out+errs, "nice") {
		t.Errorf("status %d:\n%s%s", status, out, errs)
	}
}

// The first block of code in a package's documentation is a piece of a file that is compiled
// by the tests, as it is there.
func TestDocumentedCode(t *testing.T) {
	for doc, source := range map[string]string{
		"doc.go":         "doc_test.go",
		"records/doc.go": "records/example_test.go",
	} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile(`(?m)^//\t.*\n(//(\t.*)?\n)*//\t.*\n`).FindString(string(text))
		code := regexp.MustCompile(`(?m)^//\t?`).ReplaceAllString(block, "")
		if code == "" || !strings.Contains(string(compiled), code) {
			t.Errorf("%s has no such lines as are in %s:\n%s", source, doc, code)
		}
	}
}
