package docker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
	"github.com/berth-dev/berth/sdk/provider"
)

// dockerd is a daemon of this test alone: when it is killed, all that it started ends, as
// in a crash of the machine.
type dockerd struct {
	t      *testing.T
	daemon *dockertest.Daemon
	api    *client.Client
}

// newDockerd starts a daemon, and points the environment of the test at it. Where that can't
// be done the test is skipped, or fails where Docker is required; see without. No other
// system than Linux can do it, so that there it is always skipped.
func newDockerd(t *testing.T) *dockerd {
	t.Helper()
	needDaemon(t)
	switch err := dockertest.NeedDaemon(); {
	case errors.Is(err, dockertest.ErrNotLinux):
		t.Skip(err)
	case err != nil:
		without(t, "%v", err)
	}
	dir, err := os.MkdirTemp("", "berth-dockerd-")
	if err != nil {
		t.Fatal(err)
	}
	d := &dockerd{t: t, daemon: &dockertest.Daemon{Dir: dir, Machine: true}}
	t.Setenv(client.EnvOverrideHost, "unix://"+d.socket())
	if d.api, err = dockertest.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.api.Close(), d.daemon.End(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	d.start("data")
	return d
}

func (d *dockerd) socket() string { return d.daemon.Socket() }

// start runs the daemon on the data of that name. Engines before 23.0 then all have the
// engine id of the machine.
func (d *dockerd) start(data string) {
	d.t.Helper()
	d.daemon.Data = data
	if err := d.daemon.Start(d.t.Context()); err != nil {
		without(d.t, "%v", err)
	}
	if _, err := d.api.ImageInspect(context.Background(), world.image); err == nil {
		return
	}
	if _, err := dockertest.ImportImage(context.Background(), d.api, world.image, world.agent, ""); err != nil {
		d.t.Fatal(err)
	}
}

// kill ends the daemon and what it has started, and waits until it does not answer.
func (d *dockerd) kill() {
	d.daemon.Kill()
	eventually(d.t, "the end of dockerd", func() bool {
		conn, err := net.Dial("unix", d.socket())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// Promise 4: a real daemon that dies and comes back; another one in its place.
func TestPromise4_DaemonKilledAndBack(t *testing.T) {
	d := newDockerd(t)
	r := openRig(t, Config{}, d.api)
	offline := func(s *provider.Spec) { s.Network, s.Port = networkNone, 0 }
	created := r.create(r.newSpec(offline))
	d.kill()
	if _, err := r.Get(t.Context(), provider.Ref{ID: created.Sandbox.ID}); !errors.Is(err, provider.Unavailable) {
		t.Errorf("get without a daemon: %v", err)
	}
	if _, err := r.List(t.Context(), func(provider.Sandbox) error { return nil }); !errors.Is(err, provider.Unavailable) {
		t.Errorf("list without a daemon: %v", err)
	}
	d.start("data")
	s, err := r.Get(t.Context(), provider.Ref{ID: created.Sandbox.ID})
	if err != nil || s.SessionID != created.Sandbox.SessionID {
		t.Errorf("get after it came back: %+v, %v", s, err)
	}
	if id, err := r.Identity(t.Context()); err != nil || id != created.Identity {
		t.Errorf("identity is %q, %v; want %q", id, err, created.Identity)
	}

	// Another, empty daemon under the same address says who it is, also in a create.
	d.kill()
	d.start("other")
	other := r.create(r.newSpec(offline))
	if other.Identity == created.Identity || other.Identity == "" {
		t.Errorf("identity is %q, that of the daemon before is %q", other.Identity, created.Identity)
	}
	if id, err := r.Identity(t.Context()); err != nil || id != other.Identity {
		t.Errorf("identity is %q, %v; want %q", id, err, other.Identity)
	}
	_, summary := r.listed("")
	if summary.Total != 1 {
		t.Errorf("%d containers, want the new one", summary.Total)
	}
}

// A daemon that is killed in mid-create leaves the outcome unknown: Unavailable. Back
// again, the same create works, and there is one container.
func TestCreateDaemonKilled(t *testing.T) {
	d := newDockerd(t)
	for _, suffix := range []string{"/containers/create", "/start"} {
		proxy := newProxyTo(t, d.socket())
		r := openRig(t, Config{}, d.api)
		spec := r.newSpec(func(s *provider.Spec) { s.Network, s.Port = networkNone, 0 })
		killed, lost := false, false
		proxy.use(hooks{
			after: func(req *http.Request, _ *http.Response) {
				if is(req, http.MethodPost, suffix) && !killed {
					killed = true
					d.kill()
				}
			},
			cut: func(req *http.Request) bool {
				cut := is(req, http.MethodPost, suffix) && killed && !lost
				lost = lost || cut
				return cut
			},
		})
		_, err := r.Create(t.Context(), spec)
		wantFailure(t, err, provider.Unavailable, codeStart, spec.ChatID)
		t.Setenv(client.EnvOverrideHost, "unix://"+d.socket())
		d.start("data")
		created := r.create(spec)
		if s, summary := r.listed(created.Sandbox.ID); s == nil || s.State != provider.StateRunning || summary.Total != 1 {
			t.Errorf("killed at %s: listed %+v of %d", suffix, s, summary.Total)
		}
		if _, err := r.Delete(t.Context(), provider.DeleteRequest{ID: created.Sandbox.ID, Fence: fence(spec)}); err != nil {
			t.Error(err)
		}
	}
}
