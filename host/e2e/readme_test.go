package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// readmeWalk runs a block of the README, with other names for what it names of the machine,
// and returns what it printed.
func readmeWalk(t *testing.T, name string, names ...string) string {
	t.Helper()
	block := readmeBlock(t, name)
	for i := 0; i < len(names); i += 2 {
		if !strings.Contains(block, names[i]) {
			t.Fatalf("the walk %q does not name %s", name, names[i])
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eux")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stdin = strings.NewReader(strings.NewReplacer(names...).Replace(block))
	cmd.Env = append(os.Environ(), "PATH="+world.bin+":"+os.Getenv("PATH"), "NO_COLOR=1")
	var out, trace strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("the walk %q fails: %v\n%s\n%s", name, err, trace.String(), out.String())
	}
	return out.String()
}

// shippedSocket is where the README's walks find the host.
const shippedSocket = "/var/lib/berth/berth.sock"

// Somebody who knows only the README gets from nothing to a sandbox on the shipped
// configuration, sees it, extends it and ends it.
func TestReadmeFromNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, image, network := s.path("root"), "berth-e2e-"+world.run+"-readme:latest", "berth-e2e-"+world.run+"-readme"
	t.Cleanup(func() {
		args := []string{"down", "--image", image, "--network", network}
		if owner, err := os.ReadFile(filepath.Join(root, "state", "owner")); err == nil {
			args = append(args, "--label", "berth.owner="+strings.TrimSpace(string(owner)))
		}
		if err := fixture(context.Background(), nil, args...); err != nil {
			t.Error(err)
		}
	})
	readmeWalk(t, "before", "BERTH_ROOT=/var/lib/berth", "BERTH_ROOT="+root, "BERTH_IMAGE=sandbox:latest", "BERTH_IMAGE="+image,
		"BERTH_NETWORK=sandbox", "BERTH_NETWORK="+network, "bin/", world.bin+"/")
	socket := filepath.Join(root, "berth.sock")
	h := s.serveOn(world.bin, shipped(t), socket,
		"BERTH_ROOT="+root, "BERTH_IMAGE="+image, "BERTH_NETWORK="+network, "BERTH_METRICS=127.0.0.1:0")
	out := readmeWalk(t, "berth", shippedSocket, socket)
	wantWords(t, "the walk", out, "running", "6f1d2c0e-7a51-4c1b-9a55-3a0e1c9f2b11", `"status":"ended"`, `"reason":"deleted"`)
	if list, err := h.List(t.Context(), host.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("what is left: %+v, %v", list, err)
	}
	h.terminate()
}

// shipped is the shipped configuration, by its absolute path.
func shipped(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The same with curl alone. Each answer is one JSON document.
func TestReadmeWalkCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("there is no curl: %v", err)
	}
	s := newSite(t).configure(settings{})
	h := s.start().ready()
	out := readmeWalk(t, "curl", shippedSocket, s.path("state/berth.sock"))
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

// The shipped configuration is valid, with what only the plugin knows of it, and no daemon is
// asked for that.
func TestShippedConfiguration(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	l, err := net.Listen("unix", s.path("d.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			c.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	run := func(verb string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(world.bin, "berth"), verb, "--config", filepath.Join("..", "..", "config.hcl"))
		cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.path("d.sock"), "BERTH_ROOT="+s.dir, "TMPDIR="+tempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("validate"); err != nil || !strings.Contains(out, "is valid") {
		t.Errorf("%v: %s", err, out)
	}
	mine, err := net.Dial("unix", s.path("d.sock")) // once it is closed, all before it were counted
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(mine)
	mine.Close()
	if n := asked.Swap(0) - 1; n != 0 {
		t.Errorf("validate has connected to the daemon %d times", n)
	}
	// The daemon's address does reach the plugin.
	if out, err := run("providers"); err == nil || asked.Load() == 0 {
		t.Errorf("providers has not asked the daemon: %v, %s", err, out)
	}
}
