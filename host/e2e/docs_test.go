package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tables of settings in a provider's README are what "berth providers docs" prints.
func TestReadmeSettings(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	s.configure(settings{noDocker: true})
	for _, name := range []string{"docker", "process"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "plugins", name, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, begun := strings.Cut(string(text), "<!-- settings: `make docs` writes this part, with \"berth providers docs "+name+"\" -->\n")
		have, _, ended := strings.Cut(rest, "<!-- settings: end -->\n")
		want := s.berth(0, "providers", "docs", name)
		if !begun || !ended || have != want {
			t.Errorf("plugins/%s/README.md is not current: run make docs. It has\n%s\nwant\n%s", name, have, want)
		}
	}
}
