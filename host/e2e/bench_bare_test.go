package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/ready"
)

// benchCycle is what one sandbox took.
type benchCycle struct {
	create  time.Duration // to its first HTTP 200
	remove  time.Duration
	commits struct{ create, remove benchSpent } // the lease commits in it; Berth's alone
}

func (c benchCycle) whole() time.Duration { return c.create + c.remove }

// benchBare makes sandboxes as a careful program would that has Docker's client alone. It
// asks for the same container as Berth does, in the same network, and waits for it in the
// same way.
type benchBare struct {
	s      *site
	config container.Config
	host   container.HostConfig
	port   int
	made   atomic.Int64
}

// benchBareLike makes the bare client's side from a session of Berth's.
func benchBareLike(b *testing.B, s *site, like host.Session) *benchBare {
	b.Helper()
	c := inspect(b, like.SandboxID)
	bare := &benchBare{s: s, config: *c.Config, host: *c.HostConfig, port: like.Endpoint.Port}
	bare.config.Hostname = "" // the daemon's own choice, from the id
	// As many labels, as long, but under keys that are not Berth's: its host is not to
	// watch what the bare client does.
	bare.config.Labels = map[string]string{}
	for key, value := range c.Config.Labels {
		bare.config.Labels["x"+key[1:]] = value
	}
	bare.config.Labels["bench.site"] = s.owner
	b.Cleanup(func() {
		for _, left := range containers(b, world.api, "bench.site="+s.owner) {
			remove(b, world.api, left.ID)
		}
	})
	return bare
}

// next is a container of its own: name, labels, chat directory.
func (bare *benchBare) next() (string, *container.Config, *container.HostConfig, error) {
	n := int(bare.made.Add(1))
	config, hostConfig := bare.config, bare.host
	config.Labels = maps.Clone(config.Labels)
	hostConfig.Mounts = nil
	for _, m := range bare.host.Mounts {
		if m.Target == "/workspace/chat" {
			m.Source = filepath.Join(filepath.Dir(m.Source), benchName(n))
			if err := os.Mkdir(m.Source, 0o700); err != nil {
				return "", nil, nil, err
			}
		}
		hostConfig.Mounts = append(hostConfig.Mounts, mount.Mount{Type: m.Type, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, BindOptions: m.BindOptions})
	}
	return benchName(n), &config, &hostConfig, nil
}

// cycle makes a sandbox, gets its first 200, and removes it.
func (bare *benchBare) cycle(ctx context.Context) (c benchCycle, err error) {
	begun := time.Now()
	name, config, hostConfig, err := bare.next()
	if err != nil {
		return c, err
	}
	image, err := world.api.ImageInspect(ctx, world.image)
	if err != nil {
		return c, err
	}
	config.Image = image.ID
	made, err := world.api.ContainerCreate(ctx, config, hostConfig, nil, nil, name)
	if err != nil {
		return c, err
	}
	if err := world.api.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return c, err
	}
	seen, err := world.api.ContainerInspect(ctx, made.ID)
	if err != nil {
		return c, err
	}
	net := seen.NetworkSettings.Networks[world.network]
	if net == nil || net.IPAddress == "" {
		return c, errors.New("the bare container has no address")
	}
	endpoint := lease.Endpoint{IP: net.IPAddress, Port: bare.port}
	if err := (ready.Prober{}).Probe(ctx, endpoint, lease.Ready{TCP: true}); err != nil {
		return c, err
	}
	if err := benchFirst(ctx, endpoint); err != nil {
		return c, err
	}
	c.create = time.Since(begun)

	begun = time.Now()
	err = world.api.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	c.remove = time.Since(begun)
	if err != nil && !cerrdefs.IsNotFound(err) {
		return c, err
	}
	return c, nil
}

// cycle makes a session, gets its first 200, and deletes it.
func (h *benchHosted) cycle(ctx context.Context) (c benchCycle, err error) {
	before := h.commits()
	begun := time.Now()
	s, err := h.Create(ctx, chat())
	if err != nil {
		return c, err
	}
	if err := benchFirst(ctx, *s.Endpoint); err != nil {
		return c, err
	}
	c.create = time.Since(begun)
	between := h.commits()

	begun = time.Now()
	err = h.Delete(ctx, s.ID)
	c.remove = time.Since(begun)
	c.commits.create, c.commits.remove = between.since(before), h.commits().since(between)
	return c, err
}

// benchFirst gets a sandbox's first page, on a connection of its own.
func benchFirst(ctx context.Context, e lease.Endpoint) error {
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.IP+":"+strconv.Itoa(e.Port)+"/", nil)
	if err != nil {
		return err
	}
	res, err := web.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent answers %s", strings.TrimSpace(res.Status))
	}
	return nil
}
