package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smallTests are packages of a module, with what their tests do.
var smallTests = map[string]string{
	"skips": `
func TestA(t *testing.T) { t.Parallel(); t.Log("heard by nobody") }
func TestB(t *testing.T) { t.Parallel(); t.Skip("there is no daemon") }
func TestC(t *testing.T) { for _, tool := range []string{"curl", "wget"} {
	t.Run(tool, func(t *testing.T) { t.Parallel(); t.Skipf("there is no %s", tool) }) } }`,
	"fails": `
func TestD(t *testing.T) { t.Parallel(); t.Log("said first"); t.Error("it is broken") }
func TestE(t *testing.T) { t.Parallel() }`,
	"panics":       `func TestF(t *testing.T) { panic("out of hand") }`,
	"unbuildable":  `func TestG(t *testing.T) { noSuchThing() }`,
	"works":        `func TestH(t *testing.T) {}`,
	"plugins/asks": `func TestI(t *testing.T) {}`,
}

// make test tells the skipped tests by name and reason and all of a failure, and of what
// passes a line for each package. It fails when a package does, also one that is not the last.
func TestMakeTestTellsOfSkips(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skipf("there is no make: %v", err)
	}
	makefile, err := filepath.Abs(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	s := bareSite(t)
	s.write("go.mod", "module small\n\ngo 1.26\n")
	for name, tests := range smallTests {
		if err := os.MkdirAll(s.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
		s.write(name+"/small_test.go", "package small\n\nimport \"testing\"\n\n"+tests+"\n")
	}
	test := func(packages string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "make", "-s", "-f", makefile, "test", "PACKAGES="+packages, "TEST_FLAGS=")
		cmd.Dir = s.dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "MAKEFLAGS=", "MAKELEVEL=", "TMPDIR="+tempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	out, err := test("./skips ./works")
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	wantWords(t, "the skips", out, "--- SKIP: TestB (0.00s)\n    small_test.go:7: there is no daemon\n",
		"--- SKIP: TestC/curl (0.00s)\n    small_test.go:9: there is no curl\n",
		"--- SKIP: TestC/wget (0.00s)\n    small_test.go:9: there is no wget\n", "ok  \tsmall/skips", "ok  \tsmall/works")
	if n := strings.Count(out, "\n"); n != 8 {
		t.Errorf("%d lines, want 8:\n%s", n, out)
	}

	var exit *exec.ExitError
	if out, err = test("./fails ./panics ./unbuildable ./works"); !errors.As(err, &exit) {
		t.Errorf("there are failures, and make ends with %v", err)
	}
	wantWords(t, "the failures", out, "said first", "it is broken", "--- FAIL: TestD", "FAIL\tsmall/fails",
		"panic: out of hand", "FAIL\tsmall/panics", "undefined: noSuchThing", "FAIL\tsmall/unbuildable", "ok  \tsmall/works")
	if strings.Contains(out, "TestE") {
		t.Errorf("a passed test is told of:\n%s", out)
	}
	// A result of before counts, but not where more than files decides.
	for packages, cached := range map[string]bool{"./works": true, "./plugins/asks": false} {
		for range 2 {
			out, err = test(packages)
		}
		if err != nil || strings.Contains(out, "(cached)") != cached {
			t.Errorf("%s, once more: %v:\n%s", packages, err, out)
		}
	}
	if out, err = test("./nowhere"); !errors.As(err, &exit) {
		t.Errorf("there is no such package, and make ends with %v:\n%s", err, out)
	}
}
