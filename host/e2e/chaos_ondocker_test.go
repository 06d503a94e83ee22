//go:build chaos && linux

package e2e

import (
	"context"
	"fmt"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// dockerGround is a daemon: the machine's, with a network and readiness, or a private one,
// which is killed and stopped too. The plugin gets at it through a gate.
type dockerGround struct {
	l      *lane
	api    *client.Client // past the gate and past Berth
	gate   *gate
	daemon *dockerd // nil on the machine's
	other  string   // another daemon, for the gate to lead to
}

// newDockerGround alternates: every other lane has a private daemon.
func newDockerGround(l *lane, i int) ground {
	d := &dockerGround{l: l, api: world.api}
	l.s = newSite(l.t)
	l.name = fmt.Sprint("shared-", i)
	if i%2 == 1 {
		l.name = fmt.Sprint("private-", i)
		d.daemon = newDockerd(l.s)
		d.daemon.load()
		d.api, d.other = d.daemon.api, world.api.DaemonHost()
	}
	d.gate = newGate(l.s, d.target())
	return d
}

func (d *dockerGround) provider() string { return "docker" }

func (d *dockerGround) target() string {
	if d.daemon != nil {
		return "unix://" + d.daemon.socket()
	}
	return world.api.DaemonHost()
}

func (d *dockerGround) settings(c *settings, env string) {
	c.provider += fmt.Sprintf("env = { DOCKER_HOST = \"unix://%s\", %s }\n", d.gate.path, env)
	if d.daemon == nil {
		c.blocks += chaosReady
	} else {
		c.template = map[string]string{"network": `"none"`, "port": ""}
	}
}

func (d *dockerGround) troubles() []trouble {
	list := []trouble{
		{"connection cut", func(l *lane) bool { d.gate.cut(); l.linger(); d.gate.lead(d.target()); return true }},
		{"connection slow", func(l *lane) bool {
			d.gate.slow(d.target(), between(l.rng, 20*time.Millisecond, 400*time.Millisecond))
			l.pause(between(l.rng, time.Second, 5*time.Second))
			d.gate.lead(d.target())
			return true
		}},
		{"connection hangs", func(l *lane) bool {
			d.gate.hush()
			l.pause(between(l.rng, time.Second, 6*time.Second))
			d.gate.lead(d.target())
			return true
		}},
		{"another daemon", func(l *lane) bool {
			if !l.anchored() {
				return false // a provider without sessions takes any backend for its own
			}
			d.gate.lead(d.otherDaemon())
			l.pause(between(l.rng, 200*time.Millisecond, 6*time.Second))
			d.gate.lead(d.target())
			return true
		}},
		{"container killed", func(l *lane) bool { return l.harm("killed") }},
		{"container removed", func(l *lane) bool { return l.harm("removed") }},
		{"container paused", func(l *lane) bool { return l.harm("paused") }},
	}
	if d.daemon == nil {
		return list
	}
	return append(list, []trouble{
		{"stop daemon", func(l *lane) bool {
			pid := d.daemon.cmd.Process.Pid
			if syscall.Kill(pid, syscall.SIGSTOP) != nil {
				return false
			}
			l.pause(between(l.rng, 200*time.Millisecond, 7*time.Second))
			return syscall.Kill(pid, syscall.SIGCONT) == nil
		}},
		{"kill -9 daemon, live-restore", func(*lane) bool { return d.killDaemon(true) }},
		{"kill -9 daemon", func(*lane) bool { return d.killDaemon(false) }},
	}...)
}

// otherDaemon is that of the lane beside, where there is none on the machine's side.
func (d *dockerGround) otherDaemon() string {
	if d.other == "" {
		d.other = d.l.beside.on.(*dockerGround).target()
	}
	return d.other
}

// slow is lead to a daemon that is far away: each piece that passes waits for so long.
func (g *gate) slow(target string, delay time.Duration) { g.open(target, false, delay) }

// killDaemon kills the private daemon and starts it again. With live-restore the
// containers go on; without, the new daemon ends them.
func (d *dockerGround) killDaemon(restore bool) bool {
	l := d.l
	if !restore {
		l.model.forgetDecoys()
		l.model.harm("daemon restarted")
	}
	d.daemon.configure(fmt.Sprintf(`{"live-restore": %v}`, restore))
	d.daemon.kill9()
	l.linger()
	if !restore {
		l.model.harm("daemon restarted")
	}
	d.daemon.start()
	if !restore {
		l.model.harm("daemon restarted")
		l.makeForeign()
	}
	return true
}

func (d *dockerGround) leadsTo() map[string]func(*lane) {
	return map[string]func(*lane){
		"host.recover.failing":     func(l *lane) { l.first("docker.create.made"); l.killHost(); l.revive() },
		"docker.conflict.removing": func(l *lane) { l.first("docker.create.made") },
	}
}

func (d *dockerGround) listed(ctx context.Context, owner string) ([]found, bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "berth.owner="+owner))})
	var out []found
	for _, c := range list {
		out = append(out, found{box{id: c.ID, session: c.Labels["session_id"], running: c.State == "running"}, c.State + ", " + c.Status})
	}
	return out, err == nil
}

func (d *dockerGround) find(ctx context.Context, id string) (found, bool, error) {
	c, err := d.api.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return found{}, false, nil
	}
	if err != nil {
		return found{}, false, err
	}
	return found{box{id: c.ID, session: c.Config.Labels["session_id"], running: c.State.Running, started: c.State.StartedAt}, c.State.Status}, true, nil
}

func (d *dockerGround) make(ctx context.Context, labels map[string]string, start bool) (string, error) {
	made, err := d.api.ContainerCreate(ctx, &container.Config{Image: world.image, Labels: labels}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err == nil && start {
		err = d.api.ContainerStart(ctx, made.ID, container.StartOptions{})
	}
	return made.ID, err
}

func (d *dockerGround) harm(ctx context.Context, what, id string) bool {
	switch what {
	case "killed":
		return d.api.ContainerKill(ctx, id, "KILL") == nil
	case "removed":
		return d.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true}) == nil
	}
	if d.api.ContainerPause(ctx, id) != nil {
		return false
	}
	if d.l.rng.IntN(2) == 0 { // else it stays so, and goes at its deadline all the same
		d.l.linger()
		_ = d.api.ContainerUnpause(ctx, id)
	}
	return true
}

func (d *dockerGround) strays() error { return nil }
func (d *dockerGround) left() error   { return nil }

func (d *dockerGround) clean(decoys []string, owners ...string) {
	removeOwned(d.l.t, d.api, owners...)
	for _, id := range decoys {
		remove(d.l.t, d.api, id)
	}
}
