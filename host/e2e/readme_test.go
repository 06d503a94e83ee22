package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host"
)

// readmeBlock is the block of shell behind a marker in the README.
func readmeBlock(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, there := strings.Cut(string(text), "<!-- walk: "+name+" -->\n```sh\n")
	block, _, closed := strings.Cut(rest, "\n```")
	if !there || !closed {
		t.Fatalf("the README has no walk %q", name)
	}
	return block
}

// readmeWalk runs a block of the README, as it stands, against a host of this place, and
// returns what it printed.
func readmeWalk(t *testing.T, s *site, name string) string {
	t.Helper()
	block := readmeBlock(t, name)
	const shipped = "/var/lib/berth/berth.sock"
	if !strings.Contains(block, shipped) {
		t.Fatalf("the walk does not name %s", shipped)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eux")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(block, shipped, s.path("state/berth.sock")))
	cmd.Env = append(os.Environ(), "PATH="+world.bin+":"+os.Getenv("PATH"), "NO_COLOR=1")
	var out, trace strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("the walk fails: %v\n%s\n%s", err, trace.String(), out.String())
	}
	return out.String()
}

// Somebody who knows only the README makes, sees, extends and ends a sandbox.
func TestReadmeWalkBerth(t *testing.T) {
	t.Parallel()
	s := newSite(t).configure(settings{})
	h := s.start().ready()
	out := readmeWalk(t, s, "berth")
	wantWords(t, "the walk", out, "running", "6f1d2c0e-7a51-4c1b-9a55-3a0e1c9f2b11", `"status":"ended"`, `"reason":"deleted"`)
	wantNothing(t, s, h)
}

// The same with curl alone. Each answer is one JSON document.
func TestReadmeWalkCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("there is no curl: %v", err)
	}
	s := newSite(t).configure(settings{})
	h := s.start().ready()
	out := readmeWalk(t, s, "curl")
	type session struct {
		ID     string `json:"session_id"`
		Status host.Status
		Ended  *struct{ Reason host.Reason }
	}
	type answer struct {
		Session  session
		Sessions []session
		Code     string
	}
	var answers []answer
	for line := range strings.Lines(out) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if a.Code != "" {
			t.Errorf("an error: %s", line)
		}
		answers = append(answers, a)
	}
	if len(answers) != 6 {
		t.Fatalf("%d answers, want 6:\n%s", len(answers), out)
	}
	if a := answers[0].Session; a.Status != host.StatusRunning {
		t.Errorf("create: %+v", a)
	}
	if l := answers[1].Sessions; len(l) != 1 || l[0].ID != answers[0].Session.ID {
		t.Errorf("list: %+v", l)
	}
	if a := answers[3].Session; a.ID != answers[0].Session.ID {
		t.Errorf("ensure: %+v", a)
	}
	if a := answers[5].Session; a.Status != host.StatusEnded || a.Ended == nil || a.Ended.Reason != host.ReasonDeleted {
		t.Errorf("get after delete: %+v", a)
	}
	wantNothing(t, s, h)
}

// The shipped configuration is valid, with what only the plugin knows of it.
func TestShippedConfiguration(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), filepath.Join(world.bin, "berth"), "validate", "--config", filepath.Join("..", "..", "config.hcl"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "is valid") {
		t.Errorf("%v: %s", err, out)
	}
}
