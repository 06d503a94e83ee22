package suite

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// TestEveryAbilityIsUsed: each capability of the contract has a use, and a check that
// needs it.
func TestEveryAbilityIsUsed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../provider/abilities.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Capability") {
			return true
		}
		name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		c := provider.Capability(name)
		found++
		if abilities[c] == nil {
			t.Errorf("the ability %q has no use in abilities", c)
		}
		if !slices.ContainsFunc(checks(), func(k check) bool {
			return k.needs != nil && k.needs(Options{}, nil) != "" && strings.Contains(k.needs(Options{}, nil), strconv.Quote(name)) &&
				!strings.Contains(k.needs(Options{}, []provider.Capability{c}), "does not claim")
		}) {
			t.Errorf("no check needs the ability %q", c)
		}
		return true
	})
	if found == 0 || found != len(abilities) {
		t.Errorf("the contract has %d abilities, the suite uses %d", found, len(abilities))
	}
}

// TestNames: each check has a name of its own and a promise.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks() {
		if c.name == "" || c.promise == "" || c.run == nil || seen[c.name] || strings.Contains(c.name, "/") {
			t.Errorf("the check %q: %q", c.name, c.promise)
		}
		seen[c.name] = true
	}
}

// TestNoTesting: a program may have the checks in it. Nothing of ours in them imports
// package testing (go-plugin does, in every plugin), nor package sdk, which may use them.
func TestNoTesting(t *testing.T) {
	const module = "github.com/berth-dev/berth/"
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for line := range strings.Lines(string(out)) {
		p := strings.Fields(line)
		if !strings.HasPrefix(p[0], module) {
			continue
		}
		ours++
		if p[0] == module+"sdk" || slices.Contains(p[1:], "testing") {
			t.Errorf("the checks depend on %s", p)
		}
	}
	if ours < 3 {
		t.Errorf("only %d packages of ours are seen", ours)
	}
}

// TestUnknownNames: a name that is no check's is refused, and not made nothing of.
func TestUnknownNames(t *testing.T) {
	for _, opts := range []Options{{Only: []string{"cretae"}}, {Impossible: map[string]string{"cretae": "no"}}} {
		r := NewReport(t.Context(), t.Output())
		r.Run("x", func(t T) { Check(t, Bare(func() provider.Plugin { return nil }), opts) })
		r.Finish()
		if !r.Failed() {
			t.Errorf("%+v passed", opts)
		}
	}
}
