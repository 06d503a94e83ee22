package config

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// Parse, Bind and Evaluate never panic, whatever the text; a refusal has words, and a
// Config has no errors.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		files, _ := filepath.Glob(filepath.Join("testdata", dir, "*.hcl"))
		for _, path := range files {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		cfg, diags := Parse(src, "config.hcl", fixed(museumEnv))
		if (cfg == nil) != diags.HasErrors() {
			t.Fatalf("config %v with %v", cfg, diags)
		}
		if text := diags.Error(); len(diags) > 0 && (text == "" || !utf8.ValidString(text)) {
			t.Fatalf("the words are %q", text)
		}
		if cfg == nil {
			return
		}
		for _, p := range cfg.Providers {
			if _, err := p.Bind(testSchemas()); err != nil && err.Error() == "" {
				t.Fatal("a refusal without words")
			}
		}
		for _, template := range cfg.Templates {
			for _, s := range append(samples(), Session{AgentID: "../x", ChatID: "\x00"}) {
				_, _ = template.Evaluate(s)
			}
		}
	})
}
