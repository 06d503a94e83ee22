package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
)

// make demo leaves nothing behind, whether it is let to its end or interrupted: not at the
// daemon, no process, no file.
func TestDemoLeavesNothing(t *testing.T) { onEach(t, demoLeavesNothing) }

func demoLeavesNothing(t *testing.T, on kind) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skipf("there is no make: %v", err)
	}
	for name, c := range map[string]struct {
		interrupt bool
		words     []string
	}{
		"to its end":  {false, []string{"3 sandboxes made, one extended, one plugin killed, nothing lost, nothing left", "of the demo are removed."}},
		"interrupted": {true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t, on)
			await(t, patience, "its sandboxes run", func() bool { return d.over() || strings.Contains(d.said.String(), "is still busy") })
			d.place()
			if c.interrupt {
				d.signal(syscall.SIGINT)
			}
			await(t, 2*patience, "the demo is over", d.over)
			if (d.status == nil) == c.interrupt {
				t.Errorf("it ended with %v", d.status)
			}
			wantWords(t, "the demo", d.said.String(), c.words...)
			if strings.Contains(d.said.String(), "could not delete") {
				t.Error("what berth demo has made was left to the script")
			}
			wantWords(t, "the demo", d.said.String(), map[string]string{"docker": "The demo runs on Docker.", "process": "the demo runs on the process provider"}[on.name])
			if err := errors.Join(leftProcesses(d.root), d.left()); err != nil {
				t.Error(err)
			}
			if names, err := filepath.Glob(filepath.Join(d.tmp, "*")); err != nil || len(names) != 0 {
				t.Errorf("files are left: %q, %v", names, err)
			}
			if t.Failed() {
				t.Logf("the demo said:\n%s", d.said)
			}
		})
	}
}

// demoRun is one run of make demo, with names and directories of its own.
type demoRun struct {
	s      *site
	on     kind
	tmp    string // where it makes its directory; short, as sockets live below it
	root   string // its directory; see place
	name   string // of its image and its network
	owner  string // on all that it makes
	cmd    *exec.Cmd
	said   *lines
	exited chan struct{} // closed when it was reaped
	status error         // after exited
}

// startDemo runs make demo on the binaries of the tests. Where it is to run on processes no
// daemon answers. It is over at the end of the test, at the latest.
func startDemo(t *testing.T, on kind) *demoRun {
	t.Helper()
	s := bareSite(t)
	tmp, err := os.MkdirTemp("", "bd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	if err := os.Mkdir(s.path("module"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Makefile", "config.hcl", "go.mod", "go.sum", "plugins"} {
		path, err := filepath.Abs(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, s.path("module/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(world.bin, s.path("module/bin")); err != nil {
		t.Fatal(err)
	}
	d := &demoRun{s: s, on: on, tmp: tmp, said: &lines{}, exited: make(chan struct{})}
	d.cmd = exec.Command("make", "-s", "-o", "build", "demo") // what build makes is there
	d.cmd.Dir = s.path("module")
	d.cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "MAKEFLAGS=", "MAKELEVEL=", "NO_COLOR=1")
	if on.name != "docker" {
		d.cmd.Env = append(d.cmd.Env, "DOCKER_HOST=unix://"+s.path("nowhere"))
	}
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all of it can be interrupted
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.status = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		if !d.over() {
			d.signal(syscall.SIGTERM)
			if !eventually(2*patience, d.over) {
				t.Errorf("the demo does not end:\n%s", d.said)
				d.signal(syscall.SIGKILL)
				<-d.exited
			}
		}
		d.clean()
	})
	return d
}

func (d *demoRun) over() bool {
	select {
	case <-d.exited:
		return true
	default:
		return false
	}
}

// signal is for the terminal's whole group, as with ^C.
func (d *demoRun) signal(sig syscall.Signal) {
	d.s.t.Helper()
	if err := syscall.Kill(-d.cmd.Process.Pid, sig); err != nil {
		d.s.t.Error(err)
	}
}

// place finds out about the demo's directory and its names, while it runs.
func (d *demoRun) place() {
	d.s.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.tmp, "berth-demo*"))
	if err != nil || len(found) != 1 {
		d.s.t.Fatalf("the demo's directory is one of %q, %v:\n%s", found, err, d.said)
	}
	text, err := os.ReadFile(filepath.Join(found[0], "state", "owner"))
	if err != nil {
		d.s.t.Fatal(err)
	}
	d.root, d.owner = found[0], strings.TrimSpace(string(text))
	d.name = strings.TrimSuffix(filepath.Base(d.root), filepath.Ext(d.root))
}

// left tells what the demo has left that is no process and no file of its own.
func (d *demoRun) left() error {
	var errs []error
	if d.on.name != "docker" {
		for _, pattern := range []string{"/sys/fs/cgroup/berth/*", "/sys/fs/cgroup/*/berth/*"} {
			groups, err := filepath.Glob(pattern + d.owner[:12] + "*")
			if errs = append(errs, err); len(groups) > 0 {
				errs = append(errs, fmt.Errorf("cgroups are left: %q", groups))
			}
		}
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithTimeout(d.s.t.Context(), patience)
	defer cancel()
	for _, c := range containers(d.s.t, world.api, "berth.owner="+d.owner) {
		errs = append(errs, fmt.Errorf("a container is left: %s %v", c.ID, c.Names))
	}
	if _, err := world.api.NetworkInspect(ctx, d.name, network.InspectOptions{}); !cerrdefs.IsNotFound(err) {
		errs = append(errs, fmt.Errorf("the network %s is left: %v", d.name, err))
	}
	if _, err := world.api.ImageInspect(ctx, d.name+":latest"); !cerrdefs.IsNotFound(err) {
		errs = append(errs, fmt.Errorf("the image %s is left: %v", d.name, err))
	}
	return errors.Join(errs...)
}

// clean removes what a demo that fails its test has left.
func (d *demoRun) clean() {
	if d.root == "" || !d.s.t.Failed() {
		return
	}
	if d.on.name != "docker" {
		cleanProcesses(d.s, filepath.Join(d.root, "process"))
		return
	}
	err := fixture(context.Background(), nil, "down", "--image", d.name+":latest", "--network", d.name, "--label", "berth.owner="+d.owner)
	if err != nil {
		d.s.t.Error(err)
	}
}
