package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// many is a host's state and its backend, with as many sessions as are wanted.
type many struct {
	backend *mem.Backend
	path    string // of the leases
	owner   string
	expired map[string]bool // by sandbox id
	live    map[string]time.Time
}

// fill writes leases and makes their sandboxes, as a host has left them. The first of them
// have expired.
func fill(t testing.TB, dir, owner string, sessions, expired int) *many {
	t.Helper()
	m := &many{backend: mem.NewBackend("memory"), path: filepath.Join(dir, "leases.db"), owner: owner,
		expired: map[string]bool{}, live: map[string]time.Time{}}
	store, err := lease.Open(t.Context(), m.path, lease.Options{Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	todo := make(chan lease.Record)
	var work sync.WaitGroup
	for range 64 { // they share commits
		work.Go(func() {
			for rec := range todo {
				if err := store.Put(t.Context(), rec); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range sessions {
		rec := lease.Record{
			SessionID: uuid.NewString(), ChatID: uuid.NewString(), AgentID: fmt.Sprintf("agent-%d", i%50), Template: "default", Provider: "mem",
			RequestHash: strings.Repeat("0123456789abcdef", 4), TTL: time.Hour, CreatedAt: now.Add(-30 * time.Minute), ExpiresAt: now.Add(time.Hour),
			SandboxName: fmt.Sprintf("berth-%s-%d", owner, i), SandboxID: fmt.Sprintf("box-%d", i), Identity: "memory", State: lease.Running,
			Endpoint: &lease.Endpoint{IP: "127.0.0.1", Port: 8000},
		}
		if i < expired {
			rec.ExpiresAt = now.Add(-time.Minute)
			m.expired[rec.SandboxID] = true
		} else {
			m.live[rec.SessionID] = rec.ExpiresAt
		}
		todo <- rec
		m.backend.Put(provider.Sandbox{ID: rec.SandboxID, Name: rec.SandboxName, Owner: owner, SessionID: rec.SessionID, ChatID: rec.ChatID,
			AgentID: rec.AgentID, Template: rec.Template, RequestHash: rec.RequestHash, CreatedAt: rec.CreatedAt, ExpiresAt: rec.ExpiresAt,
			Endpoint: &provider.Endpoint{IP: "127.0.0.1", Port: 8000}})
	}
	close(todo)
	work.Wait()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// After a long absence the expired are reaped at the bounded rate, and none of the living
// is touched.
func TestPromise2_RecoveryOfFiveThousandSessions(t *testing.T) {
	const sessions, expired, atOnce = 5000, 400, 4
	cfg, dir := parse(t, strings.Replace(small, `{ stop_grace = "1s" }`, fmt.Sprintf("{\n stop_grace = \"1s\"\n max_sessions = 10000\n max_reaping = %d\n}", atOnce), 1))
	cfg.Owner = "recovery"
	prepare(t, dir)
	m := fill(t, filepath.Join(dir, "state"), cfg.Owner, sessions, expired)
	hold := make(chan struct{})
	m.backend.Fail(mem.Stop, mem.Fault{Hold: hold})

	begun := time.Now()
	h := run(t, cfg, linked(m.backend))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	known := time.Since(begun)
	if err := m.backend.AwaitCalls(within(t), mem.Stop, atOnce); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); <-tick.C {
		if n := m.backend.Calls(mem.Stop); n != atOnce {
			t.Fatalf("%d are being reaped at once, want %d", n, atOnce)
		}
	}
	close(hold)
	begun = time.Now()
	await(t, func() bool {
		all, err := h.List(t.Context(), host.Filter{})
		return err == nil && len(all) == sessions-expired
	})
	reaped := time.Since(begun)
	t.Logf("%d sessions known and scheduled after %s; the %d expired ones, %d at a time, gone within %s", sessions, known.Round(time.Millisecond),
		expired, atOnce, reaped.Round(time.Millisecond))
	if stops, deletes := m.backend.Calls(mem.Stop), m.backend.Calls(mem.Delete); stops != expired || deletes != expired {
		t.Errorf("%d stops and %d deletes, want %d of each", stops, deletes, expired)
	}
	left := m.backend.Sandboxes()
	for _, sb := range left {
		if m.expired[sb.ID] || sb.State != provider.StateRunning {
			t.Errorf("%s is there, and %s", sb.ID, sb.State)
		}
	}
	if len(left) != sessions-expired {
		t.Errorf("%d sandboxes, want %d", len(left), sessions-expired)
	}
	all, err := h.List(t.Context(), host.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if at, ok := m.live[s.ID]; !ok || !s.ExpiresAt.Equal(at) || s.Status != host.StatusRunning {
			t.Errorf("%+v; its deadline was %v", s, at)
		}
	}
}

// prepare makes a state directory before a host does.
func prepare(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkMemoryPerSession is what a host holds for each session that it knows: 5,000 of
// them against none, once the garbage is gone. The backend's memory is its own.
func BenchmarkMemoryPerSession(b *testing.B) {
	const sessions = 5000
	held := func(n int) uint64 {
		cfg, dir := parse(b, strings.Replace(small, `{ stop_grace = "1s" }`, "{\n max_sessions = 10000\n}", 1))
		cfg.Owner = "recovery"
		prepare(b, dir)
		m := fill(b, filepath.Join(dir, "state"), cfg.Owner, n, 0)
		before := inUse()
		h, err := host.New(cfg, linked(m.backend))
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		if err := h.WaitReady(b.Context()); err != nil {
			b.Fatal(err)
		}
		after := inUse()
		runtime.KeepAlive(m)
		stop()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		return after - before
	}
	var each float64
	for b.Loop() {
		none := held(0)
		each = float64(held(sessions)-none) / sessions
	}
	b.ReportMetric(each, "B/session")
	b.ReportMetric(0, "ns/op")
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
