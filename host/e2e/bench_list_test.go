package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// benchListed is how many containers there are to list.
const benchListed = 500

// benchKeys are the labels that make a container a sandbox.
var benchKeys = []string{"session_id", "chat_id", "expires_at", "agent_id", "volume_host_path", "endpoint_port"}

// BenchmarkList is the provider's List through the plugin's process, of 500 containers that
// were created and not started, against one list call of the bare Docker client with the
// same filters. Target: at most 1.3.
func BenchmarkList(b *testing.B) {
	s := newSite(b)
	p := benchPlugin(b, s)
	benchFill(b, s)
	want := filters.NewArgs()
	for _, key := range benchKeys {
		want.Add("label", key)
	}
	// Others may have containers at this daemon too; both sides see the same ones.
	berth := func() time.Duration {
		n, begun := 0, time.Now()
		summary, err := p.List(b.Context(), func(sb provider.Sandbox) error {
			if sb.Owner == s.owner {
				n++
			}
			return nil
		})
		took := time.Since(begun)
		if err != nil || n != benchListed || summary.Total < n {
			b.Fatalf("Berth lists %d of %d containers: %v", n, benchListed, err)
		}
		return took
	}
	bare := func() time.Duration {
		begun := time.Now()
		list, err := world.api.ContainerList(b.Context(), container.ListOptions{All: true, Filters: want})
		took := time.Since(begun)
		if err != nil || len(list) < benchListed {
			b.Fatalf("the daemon lists %d of %d containers: %v", len(list), benchListed, err)
		}
		return took
	}
	berth()
	bare()

	var lists benchRatios
	for b.Loop() {
		for i := range benchPairs {
			var x, y time.Duration
			benchTurn(i, func() { x = berth() }, func() { y = bare() })
			lists.add(x, y)
		}
	}
	benchNoNanos(b)
	lists.report(b, "list-ratio", "List of 500 through the plugin against one bare list call")
}

// benchPlugin starts the Docker provider's process, without a host, and configures it.
func benchPlugin(b *testing.B, s *site) provider.Provider {
	b.Helper()
	run, err := launch.PrepareRunDir(s.path("plugin"))
	if err != nil {
		b.Fatal(err)
	}
	process, err := launch.Start(b.Context(), launch.Options{
		Name: "docker", Path: filepath.Join(world.bin, "berth-provider-docker"),
		CacheDir: s.path("plugin/cache"), RunDir: run, Env: launch.Environment(os.Environ(), nil),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := process.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	settings, err := json.Marshal(map[string]any{"pull": "never"})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := process.Plugin().Configure(b.Context(), provider.ConfigureRequest{Config: settings, Owner: s.owner}); err != nil {
		b.Fatal(err)
	}
	return process.Plugin().Provider()
}

// benchFill makes the containers to list, with the labels of a sandbox. They go with the
// benchmark.
func benchFill(b *testing.B, s *site) {
	b.Helper()
	var mu sync.Mutex
	var ids []string
	b.Cleanup(func() { benchEach(ids, func(id string) error { remove(b, world.api, id); return nil }) })
	numbers := make([]int, benchListed)
	for i := range numbers {
		numbers[i] = i
	}
	err := benchEach(numbers, func(n int) error {
		made, err := world.api.ContainerCreate(b.Context(),
			&container.Config{Image: world.image, Labels: map[string]string{
				"session_id": uuid.NewString(), "chat_id": uuid.NewString(), "agent_id": "writer",
				"expires_at": "2026-04-02T12:05:00.123456+00:00", "volume_host_path": "", "endpoint_port": "8000",
				"berth.owner": s.owner, "berth.template": "default", "berth.request_hash": strings.Repeat("0123456789abcdef", 4),
				"berth.name": benchName(n), "berth.network": world.network, "berth.endpoint": "network",
				"berth.image": world.image, "berth.digest": "sha256:" + strings.Repeat("0123456789abcdef", 4),
			}},
			&container.HostConfig{NetworkMode: container.NetworkMode(world.network)}, nil, nil, benchName(n))
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			ids = append(ids, made.ID)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchEach does something for each item, four at a time, and returns the first error.
func benchEach[T any](items []T, do func(T) error) (failed error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	queue := make(chan T)
	for range 4 {
		all.Go(func() {
			for item := range queue {
				if err := do(item); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	all.Wait()
	return failed
}
