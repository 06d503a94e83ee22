package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Whatever becomes of the lease file, no sandbox is ended for it, and nothing is lost in
// silence: a damaged file is kept and told, and every sandbox of ours is known again; one
// that is not this host's, or of another version, stays as it is and stops the start.
func TestPromise4_LeaseFileAsAWhole(t *testing.T) {
	few := 3 * os.Getpagesize() // the two headers, and one page more
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, content []byte) []byte // nil: the file goes
		refused string                                    // words of the error; "": it starts
		kept    bool                                      // the file is moved aside
	}{
		"gone":      {spoil: nil},
		"empty":     {spoil: func(*testing.T, []byte) []byte { return nil }, kept: true},
		"truncated": {spoil: func(_ *testing.T, b []byte) []byte { return b[:few-100] }, kept: true},
		"torn": {spoil: func(_ *testing.T, b []byte) []byte { // the rest never reached the disk
			return append(slices.Clone(b[:few]), make([]byte, len(b)-few)...)
		}, kept: true},
		"overwritten": {spoil: func(_ *testing.T, b []byte) []byte { return bytes.Repeat([]byte("nonsense"), len(b)/8) }, kept: true},
		"a deadline changed": {spoil: func(_ *testing.T, b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(`"expires_at":"2`), []byte(`"expires_at":"1`))
		}, kept: true},
		"newer": {spoil: newerLeases, refused: "written by a newer version of Berth"},
		"another host's": {spoil: func(t *testing.T, _ []byte) []byte {
			path := filepath.Join(t.TempDir(), "leases.db")
			store, err := lease.Open(t.Context(), path, lease.Options{Owner: "somebody-else"})
			if err == nil {
				err = store.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return content
		}, refused: `it belongs to owner "somebody-else"`},
	} {
		t.Run(name, func(t *testing.T) {
			a := abandon(t, "1h")
			all := a.sandboxes()
			path := filepath.Join(a.dir, "state", "leases.db")
			content := leasesOf(t, a)
			if c.spoil == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				content = c.spoil(t, content)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := host.Diagnose(within(t), a.cfg, linked(a.backend))
			if err != nil || d.Healthy() {
				t.Errorf("the diagnosis, %v: %+v", err, d)
			}
			for _, f := range d.Findings {
				if c.refused == "" && strings.Contains(f.Then, "removes them") {
					t.Errorf("a lost store deletes nothing, and the diagnosis says: %+v", f)
				}
			}
			if c.spoil == nil {
				if f := finding(t, d, "leases.db is lost: a host was here before"); f.Level != host.LevelProblem || !strings.Contains(f.Remedy, "extensions that were acknowledged are lost") {
					t.Errorf("%+v", f)
				}
			}

			var log bytes.Buffer
			opts := linked(a.backend)
			opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			h, err := host.New(a.cfg, opts)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("the start: %v", err)
				}
				if now := leasesOf(t, a); !bytes.Equal(now, content) {
					t.Error("the file was touched")
				}
				if _, err := host.Reap(within(t), a.cfg, linked(a.backend), false); err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("a reap: %v", err)
				}
				if got := a.sandboxes(); !slices.Equal(got, all) {
					t.Errorf("sandboxes %q, before %q", got, all)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx) }()
			if err := h.WaitReady(within(t)); err != nil {
				t.Fatal(err)
			}
			for _, was := range []host.Session{a.living, a.expired, a.deleted} {
				s, err := h.Get(t.Context(), was.ID)
				if err != nil || s.Status != host.StatusRunning || s.SandboxID != was.SandboxID || time.Until(s.ExpiresAt) < 59*time.Minute {
					t.Errorf("a session is %+v, %v", s, err)
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := a.sandboxes(); !slices.Equal(got, all) {
				t.Errorf("sandboxes %q, before %q", got, all)
			}
			moved, err := filepath.Glob(filepath.Join(a.dir, "state", "leases.damaged-*"))
			if err != nil || (len(moved) == 1) != c.kept {
				t.Fatalf("moved aside: %q, %v", moved, err)
			}
			if told := strings.Contains(log.String(), `level=ERROR msg="the lease store is lost: a host was here before, and there was none; `); told != (c.spoil == nil) {
				t.Errorf("that it is lost is told: %v: %s", told, log.String())
			}
			if c.kept {
				if now, err := os.ReadFile(moved[0]); err != nil || !bytes.Equal(now, content) {
					t.Errorf("the moved file is not what it was: %v", err)
				}
				if !strings.Contains(log.String(), "the lease store was damaged and was moved aside") || !strings.Contains(log.String(), moved[0]) {
					t.Errorf("the log does not tell: %s", log.String())
				}
			}
		})
	}
}

// A first start has lost nothing. One that finds no store where a host was before says so,
// whoever names the owner.
func TestALostStoreIsTold(t *testing.T) {
	for _, owner := range []string{"", "me"} {
		cfg, dir := parse(t, small)
		cfg.Owner = owner
		start := func() string {
			t.Helper()
			var log bytes.Buffer
			opts := linked(mem.NewBackend("memory"))
			opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			h, err := host.New(cfg, opts)
			if err == nil {
				err = h.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			return log.String()
		}
		for range 2 {
			if said := start(); said != "" {
				t.Errorf("owner %q: nothing is lost, and it says %s", owner, said)
			}
		}
		if err := os.Remove(filepath.Join(dir, "state", "leases.db")); err != nil {
			t.Fatal(err)
		}
		if said := start(); !strings.Contains(said, `level=ERROR msg="the lease store is lost: `) {
			t.Errorf("owner %q: the store is lost, and it says %s", owner, said)
		}
		if said := start(); said != "" {
			t.Errorf("owner %q: once more: %s", owner, said)
		}
	}
}

// newerLeases gives every value in a lease file the next version, with the checksum that
// belongs to it.
func newerLeases(t *testing.T, content []byte) []byte {
	t.Helper()
	const head, mid = `{"v":1,"crc32c":"`, `","body":`
	changed := 0
	for at := 0; ; {
		i := bytes.Index(content[at:], []byte(head))
		if i < 0 {
			break
		}
		at += i
		begin := at + len(head) + 8 + len(mid)
		var body json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(content[begin:])).Decode(&body); err == nil {
			sum := crc32.Checksum(append([]byte("2\n"), body...), crc32.MakeTable(crc32.Castagnoli))
			content[at+len(`{"v":`)] = '2'
			copy(content[at+len(head):], fmt.Sprintf("%08x", sum))
			changed++
		}
		at = begin
	}
	if changed == 0 {
		t.Fatal("there is no value in the file")
	}
	return content
}
