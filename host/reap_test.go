package host_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// abandoned is what a host has left that never comes back.
type abandoned struct {
	cfg     *config.Config
	dir     string
	backend *mem.Backend
	owner   string

	expired, deleted, living host.Session
	orphan, foreign          string // sandboxes without a lease
}

// abandon makes sessions, and lets their host go before one of them expires.
func abandon(t *testing.T, grace string) *abandoned {
	t.Helper()
	cfg, dir := parse(t, strings.Replace(small, `{ stop_grace = "1s" }`, "{\n  stop_grace = \"1s\"\n  recovery_grace = \""+grace+"\"\n}", 1))
	a := &abandoned{cfg: cfg, dir: dir, backend: mem.NewBackend("memory")}
	h, err := host.New(cfg, linked(a.backend))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	a.owner = h.Owner()
	create := func(ttl time.Duration) host.Session {
		s, err := h.Create(within(t), host.CreateRequest{Template: "default", ChatID: chat, TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a.living, a.deleted, a.expired = create(time.Hour), create(time.Hour), create(2*time.Second)
	a.backend.SetAvailable(false)
	if err := h.Delete(within(t), a.deleted.ID); err == nil {
		t.Fatal("a delete was carried out on a backend that is away")
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.backend.SetAvailable(true)
	a.orphan = a.backend.Put(provider.Sandbox{Owner: a.owner, SessionID: uuid.NewString(), ChatID: chat, ExpiresAt: time.Now()})
	a.foreign = a.backend.Put(provider.Sandbox{Owner: "somebody", SessionID: uuid.NewString(), ChatID: chat, ExpiresAt: time.Now()})
	await(t, func() bool { return time.Now().After(a.expired.ExpiresAt) })
	return a
}

func (a *abandoned) reap(t *testing.T, dry bool) host.Reaped {
	t.Helper()
	r, err := host.Reap(within(t), a.cfg, linked(a.backend), dry)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sandboxes are the ids of those that are there, in order.
func (a *abandoned) sandboxes() []string {
	var ids []string
	for _, s := range a.backend.Sandboxes() {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

func sorted(ids ...string) []string { slices.Sort(ids); return ids }

func ids(sessions []host.Session) []string {
	var list []string
	for _, s := range sessions {
		list = append(list, s.ID)
	}
	slices.Sort(list)
	return list
}

func leasesOf(t *testing.T, a *abandoned) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, "state", "leases.db"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is past its deadline, and what was asked to end, goes. What lives is not touched; a
// sandbox of ours without a lease gets one, and goes at the deadline that it then has.
func TestPromise2_ReapWithoutAHost(t *testing.T) {
	a := abandon(t, "3s")
	all, leases := a.sandboxes(), leasesOf(t, a)
	gone := sorted(a.expired.ID, a.deleted.ID)

	dry := a.reap(t, true)
	if got := ids(dry.Ended); !slices.Equal(got, gone) || len(dry.Adopted) != 1 || dry.Living != 2 || len(dry.Left) != 0 {
		t.Errorf("a dry run: %+v", dry)
	}
	if !slices.Equal(a.sandboxes(), all) || !bytes.Equal(leasesOf(t, a), leases) {
		t.Error("a dry run has changed something")
	}
	reasons := map[string]host.Reason{a.expired.ID: host.ReasonExpired, a.deleted.ID: host.ReasonDeleted}

	begun := time.Now()
	r := a.reap(t, false)
	if got := ids(r.Ended); !slices.Equal(got, gone) || len(r.Adopted) != 1 || r.Living != 2 || len(r.Left) != 0 {
		t.Fatalf("reaped %+v", r)
	}
	for _, s := range slices.Concat(dry.Ended, r.Ended) {
		if s.Ended == nil || s.Ended.Reason != reasons[s.ID] {
			t.Errorf("ended %+v", s)
		}
	}
	adopted := r.Adopted[0]
	if adopted.SandboxID != a.orphan || adopted.ExpiresAt.Before(begun.Add(3*time.Second-time.Millisecond)) || adopted.SandboxID != dry.Adopted[0].SandboxID {
		t.Errorf("adopted %+v, and the dry run said %+v", adopted, dry.Adopted[0])
	}
	if got := a.sandboxes(); !slices.Equal(got, sorted(a.living.SandboxID, a.orphan, a.foreign)) {
		t.Errorf("left: %q", got)
	}

	if again := a.reap(t, false); time.Now().Before(adopted.ExpiresAt) && (len(again.Ended) != 0 || len(again.Adopted) != 0 || again.Living != 2) {
		t.Errorf("a second run before the deadline: %+v", again)
	}
	await(t, func() bool { return time.Now().After(adopted.ExpiresAt) })
	last := a.reap(t, false)
	if got := a.sandboxes(); !slices.Equal(got, sorted(a.living.SandboxID, a.foreign)) || len(last.Left) != 0 {
		t.Errorf("after the deadline of the adopted one: %q, %+v", got, last)
	}

	// The host comes back after all: it goes on where the reaper has left off.
	h := run(t, a.cfg, linked(a.backend))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Get(t.Context(), a.living.ID); err != nil || s.Status != host.StatusRunning || !s.ExpiresAt.Equal(a.living.ExpiresAt) {
		t.Errorf("the session that lives: %+v, %v", s, err)
	}
	if s, err := h.Get(t.Context(), a.expired.ID); err != nil || s.Ended == nil || s.Ended.Reason != host.ReasonExpired {
		t.Errorf("the one that was reaped: %+v, %v", s, err)
	}
}

// A lost store ends nothing: every sandbox of ours is known again, for recovery_grace at
// least. The damaged file is kept.
func TestReapAfterADamagedStore(t *testing.T) {
	a := abandon(t, "2h") // more than any sandbox bears
	all := a.sandboxes()
	path := filepath.Join(a.dir, "state", "leases.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xA5}, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	dry := a.reap(t, true)
	if dry.DamagedStore == "" || len(dry.Ended) != 0 || len(dry.Adopted) != 4 {
		t.Errorf("a dry run: %+v", dry)
	}
	r := a.reap(t, false)
	if _, err := os.Stat(r.DamagedStore); err != nil || len(r.Ended) != 0 || len(r.Adopted) != 4 || r.Living != 4 {
		t.Errorf("reaped %+v, %v", r, err)
	}
	for _, s := range r.Adopted {
		if time.Until(s.ExpiresAt) < 119*time.Minute {
			t.Errorf("adopted until %v: %+v", s.ExpiresAt, s)
		}
	}
	if got := a.sandboxes(); !slices.Equal(got, all) {
		t.Errorf("sandboxes %q, before %q", got, all)
	}
}

// So it is with one that is gone, and that is told.
func TestReapAfterALostStore(t *testing.T) {
	a := abandon(t, "2h")
	if r := a.reap(t, true); r.LostStore {
		t.Errorf("nothing is lost: %+v", r)
	}
	if err := os.Remove(filepath.Join(a.dir, "state", "leases.db")); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if r := a.reap(t, dry); !r.LostStore || r.DamagedStore != "" || len(r.Ended) != 0 || len(r.Adopted) != 4 {
			t.Errorf("dry %v: %+v", dry, r)
		}
	}
	if r := a.reap(t, false); r.LostStore {
		t.Errorf("the next one: %+v", r)
	}
}

// What can't be reaped is told with the reason, and is there for the next run.
func TestReapWhatCannotBeReaped(t *testing.T) {
	a := abandon(t, "1h")
	stuck := &provider.Error{Class: provider.Internal, Message: "it does not go"}
	a.backend.Fail(mem.Stop, mem.Fault{Err: stuck})
	a.backend.Fail(mem.Delete, mem.Fault{Err: stuck})
	r := a.reap(t, false)
	if len(r.Ended) != 0 || len(r.Left) != 2 {
		t.Fatalf("%+v", r)
	}
	for _, u := range r.Left {
		if !strings.Contains(u.Reason, "it does not go") {
			t.Errorf("left %s for the reason %q", u.ID, u.Reason)
		}
	}
	a.backend.Clear()
	if r := a.reap(t, false); len(r.Ended) != 2 || len(r.Left) != 0 {
		t.Errorf("the next run: %+v", r)
	}
}

// A backend of another identity is not asked to end anything.
func TestReapOnAnotherBackend(t *testing.T) {
	a := abandon(t, "1h")
	all := a.sandboxes()
	a.backend.SetIdentity("another")
	for _, dry := range []bool{true, false} {
		r := a.reap(t, dry)
		if len(r.Ended) != 0 || len(r.Adopted) != 0 || len(r.Left) != 2 || !strings.Contains(r.Left[0].Reason, "backend changed") {
			t.Errorf("dry %v: %+v", dry, r)
		}
	}
	if got := a.sandboxes(); !slices.Equal(got, all) {
		t.Errorf("sandboxes %q, before %q", got, all)
	}
}

func TestReapIsRefused(t *testing.T) {
	t.Run("a host lives", func(t *testing.T) {
		cfg, _ := parse(t, small)
		b := mem.NewBackend("memory")
		run(t, cfg, linked(b))
		for _, dry := range []bool{true, false} {
			_, err := host.Reap(within(t), cfg, linked(b), dry)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is in use by the host with pid %d", os.Getpid())) {
				t.Errorf("dry %v: %v", dry, err)
			}
		}
	})
	t.Run("no state directory", func(t *testing.T) {
		cfg, dir := parse(t, small)
		_, err := host.Reap(within(t), cfg, linked(mem.NewBackend("memory")), false)
		if err == nil || !strings.Contains(err.Error(), "does not exist") || !strings.Contains(err.Error(), "set owner") {
			t.Error(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("something was made: %v, %v", entries, err)
		}
	})
	t.Run("no owner", func(t *testing.T) {
		a := abandon(t, "1h")
		if err := os.Remove(filepath.Join(a.dir, "state", "owner")); err != nil {
			t.Fatal(err)
		}
		_, err := host.Reap(within(t), a.cfg, linked(a.backend), false)
		if err == nil || !strings.Contains(err.Error(), a.owner) || !strings.Contains(err.Error(), "set owner") {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(a.dir, "state", "owner")); err == nil {
			t.Error("a new owner was made")
		}
	})
	t.Run("another owner's leases", func(t *testing.T) {
		a := abandon(t, "1h")
		a.cfg.Owner = "me"
		for _, dry := range []bool{true, false} {
			if _, err := host.Reap(within(t), a.cfg, linked(a.backend), dry); err == nil || !strings.Contains(err.Error(), a.owner) {
				t.Errorf("dry %v: %v", dry, err)
			}
		}
	})
}
