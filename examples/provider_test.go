// Package examples_test holds what is promised of examples/provider, which is a module of
// its own and so is not seen by "go test ./..." of this one.
package examples_test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// maxOwnLines is what a whole provider may take of its author's own code.
const maxOwnLines = 60

const folder = "provider"

// The example is a whole provider in at most 60 lines of its own code. A line counts when it
// has code: not a comment, not an import, not the package clause.
func TestOwnLines(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		n := ownLines(t, f)
		t.Logf("%s: %d lines", f, n)
		total += n
	}
	if total == 0 || total > maxOwnLines {
		t.Errorf("%d lines of own code, want at most %d", total, maxOwnLines)
	}
}

func ownLines(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	after := set.Position(tree.Name.End()).Line
	for _, d := range tree.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			after = max(after, set.Position(g.End()).Line)
		}
	}
	file := set.AddFile(path, set.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0) // without comments
	lines := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		first := set.Position(pos).Line
		if tok == token.SEMICOLON && literal == "\n" {
			continue
		}
		for line := first; line <= first+strings.Count(literal, "\n"); line++ {
			if line > after {
				lines[line] = true
			}
		}
	}
	return len(lines)
}

// A provider's author compiles neither Docker's client, nor HCL, nor Prometheus, nor bbolt,
// nor what is for hosts.
func TestCompilesNothingOfTheHost(t *testing.T) {
	out := command(t, folder, nil, "go", "list", "-deps", "./...")
	if !strings.Contains(out, "github.com/berth-dev/berth/sdk/records\n") {
		t.Fatalf("it does not even compile the SDK:\n%s", out)
	}
	for _, never := range []string{"github.com/docker/", "github.com/hashicorp/hcl", "github.com/prometheus/", "go.etcd.io/bbolt",
		"github.com/berth-dev/berth/host", "github.com/berth-dev/berth/plugins", "github.com/spf13/", "connectrpc.com/"} {
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, never) {
				t.Errorf("it compiles %s", strings.TrimSpace(line))
			}
		}
	}
}

// Who copies the folder out of the tree, as its README says, and renames it, has a provider
// that is checked, built, tested and released.
func TestCopyOfTheFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skipf("there is no make: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, there := strings.Cut(string(text), "<!-- start -->\n```sh\n")
	script, _, closed := strings.Cut(rest, "\n```")
	if !there || !closed {
		t.Fatal("the README does not say how to start")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "berth-provider-mine")
	for from, to := range map[string]string{
		"../berth-provider-mine": copied,
		// There is no released version to be had here: it takes this tree instead.
		"go mod edit -dropreplace github.com/berth-dev/berth ": "go mod edit -replace github.com/berth-dev/berth=" + root + " ",
		"go get github.com/berth-dev/berth@latest\n":           "",
	} {
		if !strings.Contains(script, from) {
			t.Fatalf("the README's script has no %q:\n%s", from, script)
		}
		script = strings.ReplaceAll(script, from, to)
	}
	// "make check" tidies, for which Go reads the tests of all that is imported: a machine on
	// which nobody has done that fetches them before. Then what it needs is in the module cache.
	// One platform does here: "make check" of this tree vets the folder on all of them.
	command(t, folder, nil, "go", "mod", "tidy", "-diff")
	env := []string{"GOFLAGS=-mod=readonly", "GOWORK=off", "MAKEFLAGS=", "MAKELEVEL=", "GOPROXY=off", "PLATFORMS=" + runtime.GOOS + "/" + runtime.GOARCH}
	if out := command(t, root, env, "sh", "-eu", "-c", script); !strings.Contains(out, "ok  \texample.org/you/berth-provider-mine") || !strings.Contains(out, "mine 0.1.0\n") || !strings.Contains(out, `provider "mine"`) {
		t.Errorf("the copy:\n%s", out)
	}
	sums := command(t, copied, env, "make", "-s", "release", "VERSION=1.2.3")
	if !strings.Contains(sums, "berth-provider-mine_1.2.3_"+runtime.GOOS+"_"+runtime.GOARCH+"\n") {
		t.Errorf("the release:\n%s", sums)
	}
	if out := command(t, copied, env, "sh", "-c", "cd dist && ./berth-provider-mine_1.2.3_* describe"); !strings.HasPrefix(out, "mine 1.2.3\n") {
		t.Errorf("the released binary:\n%s", out)
	}
	for _, name := range []string{"main.go", "runtime.go", "main_test.go", "Makefile", "ci.sh", "go.mod"} {
		text, err := os.ReadFile(filepath.Join(copied, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "berth-provider-example") || strings.Contains(string(text), `"example"`) {
			t.Errorf("%s still bears the example's name", name)
		}
	}
}

// command runs a program and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
