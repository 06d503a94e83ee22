package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-dev/berth/host"
)

// newer builds berth and the place's provider once more, as another build: the text differs
// from the first one's in its build id.
func newer(t *testing.T, s *site) string {
	t.Helper()
	bin := s.path("newer")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	plugin := "berth-provider-" + s.on.name()
	flags := []string{"GOFLAGS=-ldflags=-buildid=newer"}
	if err := build(t.Context(), bin+"/", flags, "./host/cmd/berth", "./plugins/"+s.on.name()+"/cmd/"+plugin); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"berth", plugin} {
		was, err := os.ReadFile(filepath.Join(world.bin, name))
		is, err2 := os.ReadFile(filepath.Join(bin, name))
		if err != nil || err2 != nil || bytes.Equal(was, is) {
			t.Fatalf("%s is not another build: %v, %v", name, err, err2)
		}
	}
	return bin
}

// The next version of host and plugin takes over what runs: nothing is started anew, every
// deadline holds, and is extended by the new one. The version before does too, as long as
// the store is of a form that it knows.
func TestUpgrade(t *testing.T) { onEach(t, upgrade) }

func upgrade(t *testing.T, on kind) {
	for name, end := range map[string]func(*deployed, *site){
		"SIGTERM": func(d *deployed, _ *site) { d.terminate() },
		"kill -9": (*deployed).kill9,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on.site(t).configure(settings{})
			bin := newer(t, s)
			d := s.serve(world.bin)
			brief := chat()
			brief.TTL = 14 * time.Second
			list := []host.Session{d.made(chat()), d.made(chat()), d.made(brief)}
			var err error
			if list[0], err = d.Extend(t.Context(), list[0].ID, host.ExtendRequest{By: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if list[2], err = d.Extend(t.Context(), list[2].ID, host.ExtendRequest{By: 6 * time.Second}); err != nil {
				t.Fatal(err)
			}
			halted, err := d.Stop(t.Context(), d.made(chat()).ID)
			if err != nil {
				t.Fatal(err)
			}
			started := map[string]string{}
			for _, v := range list {
				started[v.SandboxID] = s.inspect(v.SandboxID).started
			}
			end(d, s)

			s.configure(settings{top: map[string]string{"plugin_dir": quote(bin)}})
			d = s.serve(bin)
			wantFound(t, s, d, append(list, halted), started)
			was := list[1].ExpiresAt
			if list[1], err = d.Extend(t.Context(), list[1].ID, host.ExtendRequest{By: time.Hour, Seen: was}); err != nil || list[1].ExpiresAt.Sub(was) != time.Hour {
				t.Fatalf("an extension by the new version: %+v, %v", list[1], err)
			}
			await(t, time.Until(list[2].ExpiresAt)+lateness, "the one whose deadline comes has ended", func() bool { return d.now(list[2].ID).Status == host.StatusEnded })
			if e := d.now(list[2].ID); e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(list[2].ExpiresAt) {
				t.Errorf("it ended %+v, its deadline was %s", *e.Ended, list[2].ExpiresAt)
			}
			delete(started, list[2].SandboxID)
			list = list[:2]
			end(d, s)

			// Back again: this store is of the same form.
			s.configure(settings{})
			d = s.serve(world.bin)
			wantFound(t, s, d, append(list, halted), started)
			for _, v := range append(list, halted) {
				if err := d.Delete(t.Context(), v.ID); err != nil {
					t.Error(err)
				}
			}
			if n := len(s.sandboxes()); n != 0 {
				t.Errorf("%d sandboxes are left", n)
			}
		})
	}
}

// wantFound checks that a host has what another one left, as it was left.
func wantFound(t *testing.T, s *site, d *deployed, list []host.Session, started map[string]string) {
	t.Helper()
	for _, v := range list {
		d.asIs(v)
	}
	if n := len(s.sandboxes()); n != len(list) {
		t.Errorf("%d sandboxes, want %d", n, len(list))
	}
	for id, at := range started {
		if now := s.inspect(id); now.started != at || !now.running {
			t.Errorf("sandbox %s was started at %s, and is %+v", id, at, now)
		}
	}
	for _, v := range list {
		if v.Status == host.StatusRunning {
			ask(t, v, "/")
		}
	}
}

// A store of a newer form is refused by a host that does not know it: it says so, ends with
// 1, and touches neither the store nor a sandbox.
func TestDowngradeOfANewerStoreIsRefused(t *testing.T) { onEach(t, downgradeOfANewerStoreIsRefused) }

func downgradeOfANewerStoreIsRefused(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	d := s.serve(world.bin)
	v := d.made(chat())
	d.terminate()
	path := s.path("state/leases.db")
	age(t, path, 1, 2)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(world.bin, "berth"), "serve", "--config", s.path("config.hcl")).CombinedOutput()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	wantWords(t, "what it says", string(out), "newer version of Berth", "leases.db", "run that version")
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was touched (%v)", err)
	}
	ask(t, v, "/")
	age(t, path, 2, 1)
	d = s.serve(world.bin)
	d.asIs(v)
}

// age makes a store's header one of another version, with the checksum that this takes.
func age(t *testing.T, path string, from, to int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("berth"))
		var sealed struct {
			Version int             `json:"v"`
			Body    json.RawMessage `json:"body"`
		}
		if err := json.Unmarshal(b.Get([]byte("header")), &sealed); err != nil {
			return err
		}
		if sealed.Version != from {
			return fmt.Errorf("the header has version %d, want %d", sealed.Version, from)
		}
		sum := crc32.Checksum(fmt.Appendf(nil, "%d\n%s", to, sealed.Body), crc32.MakeTable(crc32.Castagnoli))
		return b.Put([]byte("header"), fmt.Appendf(nil, `{"v":%d,"crc32c":"%08x","body":%s}`, to, sum, sealed.Body))
	})
	if err != nil {
		t.Fatal(err)
	}
}
