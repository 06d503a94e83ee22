package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	benchKnown      = 5000 // sessions on the provider that does nothing
	benchContainers = 150  // on Docker
	benchRecoveries = 5    // of each

	benchExpired = 30 // of the containers, at the last start
	benchReaping = 4  // how many of them may be reaped at once
)

// BenchmarkRecovery is the time from the start of a host to all of its sessions known and
// scheduled, and their provider ready, against one list call of the same backend without a
// host: 5,000 sessions on a provider that does nothing, through its plugin process.
func BenchmarkRecovery(b *testing.B) {
	s := bareSite(b)
	s.configure(settings{noDocker: true, lifecycle: map[string]string{"max_sessions": "10000"},
		more: "provider \"mock\" {\n  config {\n    state_file = " + quote(s.path("world")) + "\n  }\n}\n" + mockTemplate("on-mock", "mock")})
	benchLeases(b, s, benchKnown)
	bare := benchMock(b, s)
	benchRecover(b, s, benchKnown, func() time.Duration {
		n, begun := 0, time.Now()
		if _, err := bare.List(b.Context(), func(provider.Sandbox) error { n++; return nil }); err != nil || n != benchKnown {
			b.Fatalf("%d listed: %v", n, err)
		}
		return time.Since(begun)
	})
}

// BenchmarkRecoveryDocker is the same with 150 containers that run, against one list call of
// the bare Docker client. At the last start a part of them has expired, and is reaped.
func BenchmarkRecoveryDocker(b *testing.B) {
	s := newSite(b)
	s.configure(settings{bare: true, lifecycle: map[string]string{"sweep_interval": `"60s"`, "max_reaping": fmt.Sprint(benchReaping)},
		template: map[string]string{"port": ""}})
	h, stop := benchReady(b, s)
	numbers := make([]int, benchContainers)
	err := benchEach(numbers, func(int) error {
		req := chat()
		req.TTL = time.Hour
		_, err := h.Create(b.Context(), req)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	stop()
	want := filters.NewArgs(filters.Arg("label", "berth.owner="+s.owner))
	benchRecover(b, s, benchContainers, func() time.Duration {
		begun := time.Now()
		list, err := world.api.ContainerList(b.Context(), container.ListOptions{All: true, Filters: want})
		took := time.Since(begun)
		if err != nil || len(list) != benchContainers {
			b.Fatalf("%d listed: %v", len(list), err)
		}
		return took
	})
	benchReap(b, s)
}

// benchReap lets sessions expire while there is no host. The next one reaps them, no more at
// once than it may, and touches none of the others: that is what the daemon tells.
func benchReap(b *testing.B, s *site) {
	b.Helper()
	expired := benchExpire(b, s)
	within, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	told, failed := world.api.Events(within, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("label", "berth.owner="+s.owner))})
	begun := time.Now()
	h, _ := benchStart(b, s)
	ending, most, gone := map[string]bool{}, 0, 0
	for gone < benchExpired {
		select {
		case m := <-told:
			switch id := m.Actor.ID; {
			case !expired[id]:
				b.Errorf("the daemon tells %q of %s, which lives", m.Action, id)
			case m.Action == events.ActionKill:
				ending[id] = true
				most = max(most, len(ending))
			case m.Action == events.ActionDestroy:
				delete(ending, id)
				gone++
			}
		case err := <-failed:
			b.Fatalf("after %d of %d containers were reaped: %v", gone, benchExpired, err)
		}
	}
	took := time.Since(begun)
	b.Logf("%d of %d sessions had expired: reaped %s after the start, at most %d at once, of %d that may be", benchExpired, benchContainers,
		benchText(took), most, benchReaping)
	b.ReportMetric(took.Seconds()*1000, "ms/reaped")
	if most > benchReaping {
		b.Errorf("%d were reaped at once, want at most %d", most, benchReaping)
	}
	await(b, patience, "the host knows the others alone", func() bool {
		all, err := h.List(b.Context(), host.Filter{Status: host.StatusRunning})
		return err == nil && len(all) == benchContainers-benchExpired
	})
	live := 0
	for _, c := range s.sandboxes() {
		if c.running && !expired[c.id] {
			live++
		}
	}
	if live != benchContainers-benchExpired {
		b.Errorf("%d containers run, want %d", live, benchContainers-benchExpired)
	}
}

// benchExpire puts the deadlines of some leases into the past, and returns their containers.
func benchExpire(b *testing.B, s *site) map[string]bool {
	b.Helper()
	store, err := lease.Open(b.Context(), s.path("state/leases.db"), lease.Options{Owner: s.owner})
	if err != nil {
		b.Fatal(err)
	}
	records, err := store.All(b.Context())
	if err != nil || len(records) != benchContainers {
		b.Fatalf("%d leases: %v", len(records), err)
	}
	expired := map[string]bool{}
	for _, rec := range records[:benchExpired] {
		rec.ExpiresAt = time.Now().UTC().Truncate(time.Microsecond)
		if err := store.Put(b.Context(), rec); err != nil {
			b.Fatal(err)
		}
		expired[rec.SandboxID] = true
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	return expired
}

// benchRecover starts a host again and again, and holds its recovery against a bare list.
func benchRecover(b *testing.B, s *site, sessions int, list func() time.Duration) {
	b.Helper()
	list()
	var recoveries benchRatios
	var read, plugin, rest []time.Duration
	for b.Loop() {
		for range benchRecoveries {
			bare := list()
			begun := time.Now()
			h, stop := benchStart(b, s)
			made := time.Now()
			within, cancel := context.WithTimeout(b.Context(), patience)
			tick := time.NewTicker(time.Millisecond)
			for h.Providers()[0].State == "starting" && within.Err() == nil {
				<-tick.C
			}
			tick.Stop()
			started := time.Now()
			err := h.WaitReady(within)
			cancel()
			if err != nil {
				b.Fatal(err)
			}
			took := time.Since(begun)
			all, err := h.List(b.Context(), host.Filter{Status: host.StatusRunning})
			if err != nil || len(all) != sessions {
				b.Fatalf("%d of %d sessions run: %v", len(all), sessions, err)
			}
			recoveries.add(took, bare)
			read, plugin, rest = append(read, made.Sub(begun)), append(plugin, started.Sub(made)), append(rest, took-started.Sub(begun))
			stop()
		}
	}
	benchNoNanos(b)
	recoveries.report(b, "recovery-ratio", fmt.Sprintf("start of the host to %d sessions known and scheduled, against one bare list", sessions))
	b.Logf("of that: %s to read the leases and schedule, %s for the plugin to start, %s to list and compare",
		benchText(benchMedian(read)), benchText(benchMedian(plugin)), benchText(benchMedian(rest)))
	b.ReportMetric(benchMedian(recoveries.berth).Seconds()*1000, "ms/recovery")
	b.ReportMetric(benchMedian(recoveries.bare).Seconds()*1000, "ms/list")
}

// benchReady runs a host until stop is called, or the benchmark is over.
func benchReady(b *testing.B, s *site) (*host.Host, func()) {
	b.Helper()
	h, stop := benchStart(b, s)
	within, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := h.WaitReady(within); err != nil {
		b.Fatal(err)
	}
	return h, stop
}

// benchStart is benchReady without waiting for anything.
func benchStart(b *testing.B, s *site) (*host.Host, func()) {
	b.Helper()
	cfg, diags := config.Load(s.path("config.hcl"))
	if err := diags.Err(); err != nil {
		b.Fatal(err)
	}
	h, err := host.New(cfg, host.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(stop)
	return h, stop
}

// benchLeases writes leases, and the mock plugin's file with their sandboxes, as a host has
// left them.
func benchLeases(b *testing.B, s *site, n int) {
	b.Helper()
	if err := os.Mkdir(s.path("state"), 0o700); err != nil {
		b.Fatal(err)
	}
	store, err := lease.Open(b.Context(), s.path("state/leases.db"), lease.Options{Owner: s.owner})
	if err != nil {
		b.Fatal(err)
	}
	type box struct{ Sandbox provider.Sandbox }
	kept := struct {
		Serial int
		Boxes  []box
	}{Serial: n}
	now := time.Now().UTC().Truncate(time.Microsecond)
	var records []lease.Record
	for i := range n {
		rec := lease.Record{
			SessionID: uuid.NewString(), ChatID: uuid.NewString(), AgentID: "writer", Template: "on-mock", Provider: "mock",
			RequestHash: strings.Repeat("0123456789abcdef", 4), TTL: time.Hour, CreatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Hour),
			SandboxName: fmt.Sprintf("berth-%.12s-%d", s.owner, i), SandboxID: fmt.Sprintf("box-%d", i), Identity: "mem", State: lease.Running,
		}
		records = append(records, rec)
		kept.Boxes = append(kept.Boxes, box{provider.Sandbox{ID: rec.SandboxID, Name: rec.SandboxName, State: provider.StateRunning, Owner: s.owner,
			SessionID: rec.SessionID, ChatID: rec.ChatID, AgentID: rec.AgentID, Template: rec.Template, RequestHash: rec.RequestHash,
			CreatedAt: rec.CreatedAt, ExpiresAt: rec.ExpiresAt}})
	}
	for batch := range (n + 499) / 500 {
		part := records[batch*500 : min(n, (batch+1)*500)]
		var work sync.WaitGroup
		for _, rec := range part { // they share commits
			work.Go(func() {
				if err := store.Put(b.Context(), rec); err != nil {
					b.Error(err)
				}
			})
		}
		work.Wait()
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(kept)
	if err != nil {
		b.Fatal(err)
	}
	s.write("world", string(text))
}

// benchMock is the mock plugin's process on the place's file, without a host.
func benchMock(b *testing.B, s *site) provider.Provider {
	b.Helper()
	run, err := launch.PrepareRunDir(s.path("plugin"))
	if err != nil {
		b.Fatal(err)
	}
	process, err := launch.Start(b.Context(), launch.Options{
		Name: "mock", Path: filepath.Join(world.bin, "berth-provider-mock"),
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
	settings, err := json.Marshal(map[string]any{"state_file": s.path("world")})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := process.Plugin().Configure(b.Context(), provider.ConfigureRequest{Config: settings, Owner: s.owner}); err != nil {
		b.Fatal(err)
	}
	return process.Plugin().Provider()
}
