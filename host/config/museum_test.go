package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

var update = flag.Bool("update", false, "write what is read into the museum")

// fixed makes a file mean the same on every machine.
func fixed(env map[string]string) Option {
	return func(s *system) {
		s.lookup = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		s.goos, s.uid = "linux", 0
	}
}

// museumEnv is the environment of the museum.
var museumEnv = map[string]string{"PORT_WORDS": "eighty", "PORT": "8080", "EMPTY": ""}

// testSchemas have an attribute of each type, each constraint and both kinds of block.
func testSchemas() provider.Schemas {
	low, high, half, top := 0.0, 10.0, 0.5, float64(1<<30)
	return provider.Schemas{
		Provider: provider.Schema{
			Attributes: []provider.Attribute{
				{Name: "pull", Type: provider.TypeString, Default: []byte(`"missing"`), OneOf: []string{"never", "missing", "always"}},
				{Name: "allow", Type: provider.TypeStringList, OneOf: []string{"host_network", "docker_socket"}},
				{Name: "labels", Type: provider.TypeStringMap},
				{Name: "verbose", Type: provider.TypeBool},
				{Name: "retries", Type: provider.TypeInt, Default: []byte(`3`), Min: &low, Max: &high},
				{Name: "ratio", Type: provider.TypeNumber, Default: []byte(`0.25`)},
				{Name: "timeout", Type: provider.TypeDuration, Default: []byte(`"5s"`), Min: &half},
				{Name: "token", Type: provider.TypeString, Sensitive: true, Pattern: `^[a-z0-9-]*$`},
			},
			Blocks: []provider.Block{
				{Name: "log", Schema: provider.Schema{Attributes: []provider.Attribute{
					{Name: "max_size", Type: provider.TypeBytes, Default: []byte(`"10MiB"`), Max: &top},
					{Name: "max_files", Type: provider.TypeInt, Default: []byte(`3`)},
				}}},
				{Name: "registry", Repeated: true, Schema: provider.Schema{Attributes: []provider.Attribute{
					{Name: "host", Type: provider.TypeString, Required: true, Doc: "The registry's host name"},
					{Name: "password", Type: provider.TypeString, Sensitive: true},
				}}},
			},
		},
		Sandbox: provider.Schema{Attributes: []provider.Attribute{
			{Name: "runtime", Type: provider.TypeString, Required: true},
			{Name: "user", Type: provider.TypeString, Pattern: `^([0-9]+(:[0-9]+)?)?$`},
		}},
	}
}

// verdict is what the user reads about a file, from the file alone or, where that has no
// fault, from binding it to testSchemas.
func verdict(t *testing.T, path string) (text string, failed bool) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, diags := Parse(src, filepath.Base(path), fixed(museumEnv))
	if diags.HasErrors() {
		return diags.Error() + "\n", true
	}
	for _, p := range cfg.Providers {
		if _, err := p.Bind(testSchemas()); err != nil {
			return err.Error() + "\n", true
		}
	}
	if len(diags) > 0 {
		return diags.Error() + "\n", false
	}
	return "", false
}

func museum(t *testing.T, dir string, wantFailed bool) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.hcl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	if texts, _ := filepath.Glob(filepath.Join("testdata", dir, "*.txt")); len(texts) != len(files) && !*update {
		t.Errorf("%d texts for %d files", len(texts), len(files))
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			got, failed := verdict(t, path)
			if failed != wantFailed {
				t.Errorf("refused = %v, want %v; it reads:\n%s", failed, wantFailed, got)
			}
			golden := strings.TrimSuffix(path, ".hcl") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the user reads:\n%s\nand should read:\n%s", got, want)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a secret is shown")
			}
		})
	}
}

// Every wrong file is refused, in exactly these words.
func TestBad(t *testing.T) { museum(t, "bad", true) }

// Every good file is accepted, with exactly these warnings.
func TestGood(t *testing.T) { museum(t, "good", false) }
