package e2e

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// dockerd is a private Docker daemon of one test.
type dockerd struct {
	t      testing.TB
	dir    string
	api    *client.Client
	cmd    *exec.Cmd // the daemon that was started last
	daemon *dockertest.Daemon
}

// newDockerd starts a private daemon below the place. Where that can't be done the test is
// skipped, with the reason, or fails with BERTH_REQUIRE_DOCKER=1. No other system than Linux
// can do it, so that there it is always skipped.
func newDockerd(s *site, args ...string) *dockerd {
	t := s.t
	t.Helper()
	if err := dockertest.NeedDaemon(); err != nil {
		if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" && !errors.Is(err, dockertest.ErrNotLinux) {
			t.Fatalf("BERTH_REQUIRE_DOCKER=1, and %v", err)
		}
		t.Skip(err)
	}
	d := &dockerd{t: t, dir: s.path("dockerd")}
	if err := os.Mkdir(d.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	d.daemon = &dockertest.Daemon{Dir: d.dir, Args: args}
	var err error
	if d.api, err = d.daemon.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.end)
	// Engines before 23.0 have one id for all daemons of a machine: so this one may have
	// that of the machine's, and is another backend all the same.
	d.configure("{}")
	d.start()
	return d
}

// configure writes the daemon's configuration, for its next start.
func (d *dockerd) configure(text string) {
	d.t.Helper()
	if err := os.WriteFile(d.daemon.Config(), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dockerd) socket() string { return d.daemon.Socket() }

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
	err := d.daemon.Start(d.t.Context())
	d.cmd = d.daemon.Cmd()
	if err != nil {
		d.t.Fatal(err)
	}
}

// kill9 kills the daemon: its containers go on.
func (d *dockerd) kill9() { d.daemon.Kill() }

// end removes everything that the daemon has made, whatever state it is in.
func (d *dockerd) end() {
	if err := errors.Join(d.daemon.End(), d.api.Close()); err != nil {
		d.t.Error(err)
	}
	if d.t.Failed() {
		d.t.Logf("the private daemon said:\n%s", tail(d.daemon.Log(), 20))
	}
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
		provider: "env = { DOCKER_HOST = \"unix://" + socket + "\" }",
		template: map[string]string{"network": `"none"`, "port": ""},
		bare:     true,
	}
}
