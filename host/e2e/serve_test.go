package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	berth "github.com/berth-dev/berth/host/client"
)

// deployed is a `berth serve` as an operator runs it, and a client of its socket.
type deployed struct {
	*berth.Client
	t      testing.TB
	cmd    *exec.Cmd
	logs   *lines
	exited chan struct{} // closed when it was reaped
	status error         // after exited
}

// serve starts the berth of a directory on the site's configuration, and waits until every
// provider is READY. It ends with the test, at the latest.
func (s *site) serve(bin string) *deployed {
	s.t.Helper()
	return s.serveOn(bin, s.path("config.hcl"), s.path("state/berth.sock"))
}

// serveOn is serve on another configuration, and with more environment.
func (s *site) serveOn(bin, config, socket string, env ...string) *deployed {
	s.t.Helper()
	d := &deployed{t: s.t, logs: &lines{}, exited: make(chan struct{}), Client: berth.New(socket)}
	d.cmd = exec.Command(filepath.Join(bin, "berth"), "serve", "--config", config, "--log-level", "debug")
	d.cmd.Env = append(append(os.Environ(), "TMPDIR="+tempDir()), env...)
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.Dir = d.logs, d.logs, s.dir
	if err := d.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		d.status = d.cmd.Wait()
		close(d.exited)
	}()
	s.t.Cleanup(func() {
		d.Close()
		if !d.over() {
			d.terminate()
		}
		if s.t.Failed() {
			s.t.Logf("log of host %d:\n%s", d.cmd.Process.Pid, tail(d.logs.String(), 60))
		}
	})
	await(s.t, patience, "every provider is ready", func() bool { return d.over() || d.isReady() })
	if d.over() {
		s.t.Fatalf("berth serve ended with %v:\n%s", d.status, tail(d.logs.String(), 30))
	}
	return d
}

func (d *deployed) over() bool {
	select {
	case <-d.exited:
		return true
	default:
		return false
	}
}

func (d *deployed) isReady() bool {
	list, err := d.Providers(d.t.Context())
	for _, p := range list {
		if p.State != "ready" {
			return false
		}
	}
	return err == nil && len(list) > 0
}

// terminate ends it gracefully.
func (d *deployed) terminate() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.exited:
	case <-time.After(patience):
		d.t.Errorf("berth serve did not end at SIGTERM; it is killed")
		d.cmd.Process.Kill()
		<-d.exited
	}
	if d.status != nil {
		d.t.Errorf("berth serve ended with %v:\n%s", d.status, tail(d.logs.String(), 30))
	}
}

// kill9 kills it, and sees that no plugin of it is left a second later.
func (d *deployed) kill9(s *site) {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.exited
	await(d.t, time.Second, "the killed host's plugins are gone", func() bool { return leftProcesses(s.path("state")) == nil })
}

// made is a session that has to be made.
func (d *deployed) made(req host.CreateRequest) host.Session {
	d.t.Helper()
	v, err := d.Create(d.t.Context(), req)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// now is a session as it is.
func (d *deployed) now(id string) host.Session {
	d.t.Helper()
	v, err := d.Get(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// asIs checks that a session is what it was.
func (d *deployed) asIs(was host.Session) {
	d.t.Helper()
	now := d.now(was.ID)
	if now.Status != was.Status || now.SandboxID != was.SandboxID || !now.ExpiresAt.Equal(was.ExpiresAt) || !now.CreatedAt.Equal(was.CreatedAt) {
		d.t.Errorf("the session is %+v, and was %+v", now, was)
	}
}
