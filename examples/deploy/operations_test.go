package deploy

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The operations guide tells of every metric and every alert, and of no other; the lines
// of the log that it shows are lines that are logged; its links lead somewhere.
func TestOperations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "host", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)

	f := exposed(t)
	told := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)(?:\\{([a-z_,]+)\\})?` \\| ([a-z]+) \\|")
	for _, m := range row.FindAllStringSubmatch(guide, -1) {
		told[m[1]] = true
		var labels []string
		if m[2] != "" {
			labels = strings.Split(m[2], ",")
		}
		if fam := f[m[1]]; fam.kind != m[3] || !slices.Equal(slices.Sorted(slices.Values(labels)), slices.Sorted(slices.Values(fam.labels))) {
			t.Errorf("%s: the guide says %s %v, a host exposes %+v", m[1], m[3], labels, fam)
		}
	}
	for name := range f {
		if !told[name] {
			t.Errorf("the guide's table lacks %s", name)
		}
	}

	alerts, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, text string) []string {
		found := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
		return slices.Sorted(maps.Keys(found))
	}
	want := names(`(?m)- alert: (\w+)$`, string(alerts))
	if got := names(`\b(Berth[A-Z]\w+)\b`, guide); !slices.Equal(got, want) {
		t.Errorf("alerts in the guide: %v\nin alerts.yml: %v", got, want)
	}

	source := sources(t)
	lines := names(`msg="([^"]+)"`, guide)
	for _, line := range lines {
		if provider := strings.TrimPrefix(line, "provider "); provider != line {
			line = "provider " // and its state
		}
		if !strings.Contains(source, `("`+line) && !strings.Contains(source, `"`+line+`"`) {
			t.Errorf("nobody logs %q", line)
		}
	}
	if len(lines) < 10 {
		t.Errorf("the guide shows only %d lines of the log", len(lines))
	}

	headings := map[string]bool{}
	for _, h := range names(`(?m)^#+ (.+)$`, guide) {
		headings[anchor(h)] = true
	}
	for _, link := range names(`\]\(#([^)]+)\)`, guide) {
		if !headings[link] {
			t.Errorf("the link to #%s leads nowhere", link)
		}
	}
}

// anchor is what a heading is called in a link.
func anchor(heading string) string {
	kept := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// sources is all Go code that is shipped.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"host", "sdk", "plugins", "proto"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
