package sdk_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every snippet of Go in the tutorial is a piece of a file that is compiled by the tests, as
// it is there; and every file that it points to is there. The snippet of HCL is validated in
// host/e2e.
func TestReadmeSnippets(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)(?:<!-- from ([a-z_/.]+) -->\n)?```go\n(.*?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(snippets) < 10 {
		t.Fatalf("there are %d snippets", len(snippets))
	}
	for _, s := range snippets {
		if s[1] == "" {
			t.Errorf("a snippet does not say where it is from:\n%s", s[2])
			continue
		}
		source, err := os.ReadFile(filepath.Join("..", s[1]))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(source), s[2]+"\n") {
			t.Errorf("%s has no such lines:\n%s", s[1], s[2])
		}
	}
	prose := regexp.MustCompile("(?s)```.*?\n```").ReplaceAllString(string(text), "")
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(prose, -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
}
