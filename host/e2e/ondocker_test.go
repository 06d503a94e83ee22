package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/host"
)

// onDocker is the shared daemon, as a place sees it.
type onDocker struct{ s *site }

func (d *onDocker) name() string { return "docker" }

func (d *onDocker) block(more string) string {
	return "provider \"docker\" {\n  config {\n    pull = \"never\"\n  }\n" + more + "\n}\n"
}

func (d *onDocker) usual() map[string]string {
	return map[string]string{
		"provider": `"docker"`, "image": quote(world.image), "network": quote(world.network), "port": d.s.port, "ttl": `"5m"`,
	}
}

func (d *onDocker) needed() string { return "" }

func (d *onDocker) sandboxes(owner string) []box {
	d.s.t.Helper()
	var list []box
	for _, c := range containers(d.s.t, world.api, "berth.owner="+owner) {
		list = append(list, box{id: c.ID, session: c.Labels["session_id"], running: c.State == "running", made: time.Unix(c.Created, 0)})
	}
	return list
}

func (d *onDocker) inspect(id string) (box, bool) {
	d.s.t.Helper()
	c, err := world.api.ContainerInspect(context.Background(), id)
	if cerrdefs.IsNotFound(err) {
		return box{}, false
	}
	if err != nil {
		d.s.t.Fatal(err)
	}
	made, err := time.Parse(time.RFC3339Nano, c.Created)
	if err != nil {
		d.s.t.Fatal(err)
	}
	return box{id: c.ID, session: c.Config.Labels["session_id"], running: c.State.Running, frozen: c.State.Paused, made: made, started: c.State.StartedAt}, true
}

func (d *onDocker) kill(id string) {
	d.s.t.Helper()
	d.must(world.api.ContainerKill(d.s.t.Context(), id, "KILL"))
}

func (d *onDocker) stop(id string) {
	d.s.t.Helper()
	d.must(world.api.ContainerStop(d.s.t.Context(), id, container.StopOptions{}))
}

func (d *onDocker) remove(id string) {
	d.s.t.Helper()
	remove(d.s.t, world.api, id)
}

func (d *onDocker) freeze(id string) {
	d.s.t.Helper()
	for end := time.Now().Add(patience); ; {
		err := world.api.ContainerPause(d.s.t.Context(), id)
		// On cgroup v1 runc gives up on a container that is busy, on a busy machine.
		if err == nil || !strings.Contains(err.Error(), "unable to freeze") || time.Now().After(end) {
			d.must(err)
			return
		}
	}
}

func (d *onDocker) thaw(id string) {
	d.s.t.Helper()
	d.must(world.api.ContainerUnpause(d.s.t.Context(), id))
}

func (d *onDocker) must(err error) {
	d.s.t.Helper()
	if err != nil {
		d.s.t.Fatal(err)
	}
}

// stranger starts a container that Berth has not made.
func (d *onDocker) stranger(name string, labels map[string]string) string {
	d.s.t.Helper()
	made, err := world.api.ContainerCreate(d.s.t.Context(), &container.Config{Image: world.image, Labels: labels},
		&container.HostConfig{NetworkMode: container.NetworkMode(world.network)}, nil, nil, name)
	d.must(err)
	d.s.t.Cleanup(func() { remove(d.s.t, world.api, made.ID) })
	d.must(world.api.ContainerStart(d.s.t.Context(), made.ID, container.StartOptions{}))
	return made.ID
}

func (d *onDocker) missing() (string, []string, func()) {
	image := "berth-e2e-" + filepath.Base(d.s.dir) + "-" + world.run + "-none:latest"
	return image, []string{image, "is missing", `pull is "never"`, "No such image"}, func() {
		d.s.t.Helper()
		d.must(world.api.ImageTag(d.s.t.Context(), world.image, image))
		d.s.t.Cleanup(func() { untag(d.s.t, image) })
	}
}

func (d *onDocker) differs() words {
	return words{
		version: "Docker ", id: "container.id", total: "sandbox.container_count",
		class: "not_found", cause: "not found", badNetwork: "host_network", noSource: "does not exist",
	}
}

func (d *onDocker) clean(owners ...string) { removeOwned(d.s.t, world.api, owners...) }

func (d *onDocker) wantAsAsked(v host.Session, env ...string) {
	t := d.s.t
	t.Helper()
	c := inspect(t, v.SandboxID)
	wantEnv(t, c, ask(t, v, "/env"), env...)
	wantLabels(t, d.s, c, v)
	wantMounts(t, d.s, c, v.ChatID)
	if ip := c.NetworkSettings.Networks[world.network].IPAddress; ip == "" || ip != v.Endpoint.IP || strconv.Itoa(v.Endpoint.Port) != d.s.port {
		t.Errorf("endpoint %+v, the network's entry says %q", v.Endpoint, ip)
	}
	if c.Name != "/berth-"+d.s.owner[:12]+"-"+v.ID {
		t.Errorf("the container's name is %s", c.Name)
	}
}

// wantEnv compares a container's environment with the image's and the given variables: it has
// no other. What runs in it sees (as JSON) what Docker adds besides.
func wantEnv(t testing.TB, c container.InspectResponse, seen string, given ...string) {
	t.Helper()
	img, err := world.api.ImageInspect(t.Context(), c.Image)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(img.Config.Env, given)
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(c.Config.Env)); !slices.Equal(got, want) {
		t.Errorf("the container's environment is %q, want %q", got, want)
	}
	var env []string
	if err := json.Unmarshal([]byte(seen), &env); err != nil {
		t.Fatal(err)
	}
	docker := regexp.MustCompile(`^(HOME|HOSTNAME|PATH)=`)
	fromDocker := func(v string) bool { return docker.MatchString(v) && !slices.Contains(want, v) }
	if got := slices.Sorted(slices.Values(slices.DeleteFunc(env, fromDocker))); !slices.Equal(got, want) {
		t.Errorf("the agent sees %q, want %q and HOME, HOSTNAME, PATH", got, want)
	}
}

// wantLabels compares a container's labels with what other adapters read.
func wantLabels(t testing.TB, s *site, c container.InspectResponse, v host.Session) {
	t.Helper()
	first := v.CreatedAt.Add(v.ExpiresAt.Sub(v.CreatedAt))
	want := map[string]string{
		"session_id": v.ID, "chat_id": v.ChatID, "agent_id": v.AgentID, "endpoint_port": s.port,
		"volume_host_path": s.path("volumes/mine"),
		"expires_at":       first.Format("2006-01-02T15:04:05.000000") + "+00:00",
		"berth.owner":      s.owner, "berth.template": "default",
	}
	if first.Nanosecond() == 0 {
		want["expires_at"] = first.Format("2006-01-02T15:04:05") + "+00:00"
	}
	for key, value := range want {
		if got, ok := c.Config.Labels[key]; !ok || got != value {
			t.Errorf("label %s is %q, want %q", key, got, value)
		}
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.Config.Labels["berth.request_hash"]) {
		t.Errorf("label berth.request_hash is %q", c.Config.Labels["berth.request_hash"])
	}
}

// wantMounts compares order, kind, sources and modes of a container's mounts.
func wantMounts(t testing.TB, s *site, c container.InspectResponse, chatID string) {
	t.Helper()
	want := []struct {
		source, target string
		readOnly       bool
	}{
		{s.real("chats/" + chatID), s.targets["chat"], false},
		{s.real("dependencies"), s.targets["dependencies"], true},
		{s.real("lambda-tools"), s.targets["lambda-tools"], true},
		{s.real("volumes/mine"), s.targets["volume"], false},
	}
	got := c.HostConfig.Mounts
	if len(got) != len(want) || len(c.HostConfig.Binds) != 0 {
		t.Fatalf("mounts %+v, binds %q", got, c.HostConfig.Binds)
	}
	for i, w := range want {
		if g := got[i]; g.Type != "bind" || g.Source != w.source || g.Target != w.target || g.ReadOnly != w.readOnly {
			t.Errorf("mount %d is %+v, want %+v", i, g, w)
		}
		for _, m := range c.Mounts {
			if m.Destination == w.target && m.RW == w.readOnly {
				t.Errorf("the daemon mounts %s with rw %v", m.Destination, m.RW)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(s.path("chats"), chatID)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the chat's directory: %v, %v", info, err)
	}
}
