package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// dockerd is a private Docker daemon of one test: with a data root, a socket and a
// containerd of its own, and no hand on the machine's bridges and firewall.
type dockerd struct {
	t    testing.TB
	dir  string
	args []string
	api  *client.Client

	cmd    *exec.Cmd
	logs   *lines
	exited chan struct{}
}

// newDockerd starts a private daemon below the place. Where that can't be done the test is
// skipped, with the reason, or fails with BERTH_REQUIRE_DOCKER=1. No other system than Linux
// can do it, so that there it is always skipped.
func newDockerd(s *site, args ...string) *dockerd {
	t := s.t
	t.Helper()
	path, err := exec.LookPath("dockerd")
	switch {
	case runtime.GOOS != "linux":
		t.Skip("a private Docker daemon needs Linux")
	case os.Geteuid() != 0:
		noDockerd(t, "it needs root, not user %d", os.Geteuid())
	case err != nil:
		noDockerd(t, "there is no dockerd: %v", err)
	}
	d := &dockerd{t: t, dir: s.path("dockerd"), args: args}
	if err := os.Mkdir(d.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	d.args = append([]string{path, "--config-file", filepath.Join(d.dir, "daemon.json"), "--host", "unix://" + d.socket(),
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"),
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--storage-driver=vfs"}, args...)
	if d.api, err = client.NewClientWithOpts(client.WithHost("unix://"+d.socket()), client.WithAPIVersionNegotiation()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.end)
	// Engines before 23.0 have one id for all daemons of a machine: so this one may have
	// that of the machine's, and is another backend all the same.
	d.configure("{}")
	d.start()
	return d
}

// noDockerd ends a test that can have no private daemon.
func noDockerd(t testing.TB, format string, args ...any) {
	t.Helper()
	why := "no private Docker daemon: " + fmt.Sprintf(format, args...)
	if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" {
		t.Fatalf("BERTH_REQUIRE_DOCKER=1, and %s", why)
	}
	t.Skip(why)
}

func (d *dockerd) configure(text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "daemon.json"), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dockerd) socket() string { return filepath.Join(d.dir, "d.sock") }

// identity is what the Docker provider calls the daemon.
func (d *dockerd) identity(api *client.Client) string {
	d.t.Helper()
	info, err := api.Info(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return info.ID + "@" + info.DockerRootDir
}

// start starts the daemon and waits until it answers.
func (d *dockerd) start() {
	d.t.Helper()
	if !d.tryStart() {
		d.t.Fatalf("the private Docker daemon does not start:\n%s", tail(d.logs.String(), 20))
	}
}

// tryStart reports whether the daemon answers. When it does not it has ended.
func (d *dockerd) tryStart() (answers bool) {
	d.t.Helper()
	d.forgetContainerd()
	d.cmd, d.logs, d.exited = exec.Command(d.args[0], d.args[1:]...), &lines{}, make(chan struct{})
	d.cmd.Stdout, d.cmd.Stderr = d.logs, d.logs
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(d.cmd, d.exited)
	await(d.t, patience, "the private daemon answers", func() bool {
		_, err := d.api.Ping(d.t.Context())
		if answers = err == nil; answers {
			return true
		}
		select {
		case <-d.exited:
			return true
		default:
			return false
		}
	})
	return answers
}

// forgetContainerd removes the pid file of a containerd that was killed with its daemon,
// where nobody has reaped it: the next daemon would take it for alive.
func (d *dockerd) forgetContainerd() {
	path := filepath.Join(d.dir, "exec", "containerd", "containerd.pid")
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	dead := func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}
	if eventually(500*time.Millisecond, dead) { // its death follows that of the daemon
		_ = os.Remove(path)
	}
}

// kill9 kills the daemon alone: its containerd and its containers go on.
func (d *dockerd) kill9() {
	_ = d.cmd.Process.Kill()
	<-d.exited
}

// stop ends the daemon politely.
func (d *dockerd) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(patience):
		d.kill9()
	}
}

// end removes everything that the daemon has made, whatever state it is in.
func (d *dockerd) end() {
	defer d.api.Close()
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := d.api.Ping(ctx); err == nil {
		for _, c := range containers(d.t, d.api) {
			remove(d.t, d.api, c.ID)
		}
	}
	d.stop()
	// What a killed daemon has left: its containerd, shims and sandboxes, and their mounts.
	if !eventually(patience, func() bool {
		pids := d.processes()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(pids) == 0
	}) {
		d.t.Errorf("processes of the private daemon are left: %v", d.processes())
	}
	if err := unmountBelow(d.dir); err != nil {
		d.t.Error(err)
	}
}

// processes are those that were started with a path of this daemon as an argument, and
// their children: the sandboxes.
func (d *dockerd) processes() []int {
	var found []int
	parents := map[int]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(p, "stat"))
		if _, rest, ok := strings.Cut(string(stat), ") "); ok {
			if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" {
				parents[pid], _ = strconv.Atoi(f[1])
			}
		}
		if strings.Contains(string(cmdline), d.dir+"/") {
			found = append(found, pid)
		}
	}
	for i := 0; i < len(found); i++ {
		for pid, parent := range parents {
			if parent == found[i] && !slices.Contains(found, pid) {
				found = append(found, pid)
			}
		}
	}
	return found
}

// env makes a plugin, or the fixture, use this daemon.
func (d *dockerd) env() []string { return []string{"DOCKER_HOST=unix://" + d.socket()} }

// load makes the image of the tests at this daemon.
func (d *dockerd) load() {
	d.t.Helper()
	if err := fixture(d.t.Context(), d.env(), "up", "--image", world.image, "--agent", world.agent); err != nil {
		d.t.Fatal(err)
	}
}

// isolated is a configuration whose sandboxes have no network, for a private daemon that
// may make none.
func isolated(s *site, socket string) settings {
	return settings{
		docker:   "env = { DOCKER_HOST = \"unix://" + socket + "\" }",
		template: map[string]string{"network": `"none"`, "port": ""},
		bare:     true,
	}
}

// unmountBelow lets go of mounts in dir, the newest first.
func unmountBelow(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	mounts := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Reverse(mounts)
	for _, m := range mounts {
		if f := strings.Fields(m); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			errs = append(errs, unmount(f[4]))
		}
	}
	return errors.Join(errs...)
}
