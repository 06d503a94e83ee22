package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-dev/berth/sdk/provider"
)

func record(id string) Record {
	at := time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)
	return Record{
		SessionID: id, ChatID: "7d444840-9dc0-11d1-b245-5ffdce74fad2", Template: "default", Provider: "docker",
		RequestHash: strings.Repeat("5eed", 16), CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute),
		SandboxName: "berth-0123456789ab-" + id, State: Running,
	}
}

func openAt(t testing.TB, path string, opts Options) *FileStore {
	t.Helper()
	s, err := Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := s.Put(t.Context(), record(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestANewFileIsPrivateAndAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	before := time.Now()
	s := openAt(t, path, Options{Owner: "me"})
	if s.Birth().Before(before.Add(-time.Second)) || s.Birth().After(time.Now()) || s.Owner() != "me" || s.Damaged() != "" {
		t.Errorf("birth %v, owner %q, damaged %q", s.Birth(), s.Owner(), s.Damaged())
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("the directory holds %v", got)
	}
}

func TestALooseModeIsTightenedAndLeftoversGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	openAt(t, path, Options{}).Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new-123", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, Options{})
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("the directory holds %v", got)
	}
}

func TestAnotherOwnersFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	openAt(t, path, Options{Owner: "me"}).Close()
	openAt(t, path, Options{}).Close() // one who doesn't say is served
	_, err := Open(t.Context(), path, Options{Owner: "you"})
	if !errors.Is(err, provider.Conflict) || !strings.Contains(err.Error(), `it belongs to owner "me", and this host is "you"`) {
		t.Errorf("got %v", err)
	}
	openAt(t, path, Options{Owner: "me"})
}

func TestANewerFileIsRefusedAndStays(t *testing.T) {
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"header": func(tx *bbolt.Tx) error {
			v, err := sealed(formatVersion+1, map[string]any{"birth": "in another form"})
			return errors.Join(err, tx.Bucket(headerBucket).Put(headerKey, v))
		},
		"record": func(tx *bbolt.Tx) error {
			v, err := sealed(recordVersion+1, record("a"))
			return errors.Join(err, tx.Bucket(leaseBucket).Put([]byte("a"), v))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "leases.db")
			s := openAt(t, path, Options{})
			if err := s.db.Update(change); err != nil {
				t.Fatal(err)
			}
			s.Close()
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), path, Options{})
			if !errors.Is(err, provider.Unsupported) || !strings.Contains(err.Error(), "version 2, this is 1: written by a newer version of Berth") ||
				!strings.Contains(err.Error(), "run that version, or move the file away") {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) || len(names(t, filepath.Dir(path))) != 1 {
				t.Error("the file was touched")
			}
		})
	}
}

func TestARecordIsVersionedJSON(t *testing.T) {
	value, err := encode(record("a"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		V      int    `json:"v"`
		CRC32C string `json:"crc32c"`
		Body   Record `json:"body"`
	}
	if err := json.Unmarshal(value, &got); err != nil || got.V != 1 || len(got.CRC32C) != 8 || got.Body.SessionID != "a" {
		t.Errorf("%s: %v", value, err)
	}
	for i := range value {
		bad := append([]byte(nil), value...)
		bad[i] ^= 0x01
		if rec, err := decode([]byte("a"), bad); err == nil {
			t.Fatalf("byte %d flipped, read as %+v", i, rec)
		}
	}
	if _, err := decode([]byte("b"), value); err == nil {
		t.Error("a record was read under another session's key")
	}
}

// hold keeps the committer from committing until it is called.
func hold(t *testing.T, s *FileStore) (release func()) {
	t.Helper()
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { tx.Rollback() })
	t.Cleanup(release)
	return release
}

func TestWaitersShareACommit(t *testing.T) {
	var commits atomic.Int32
	s := openAt(t, filepath.Join(t.TempDir(), "leases.db"), Options{Observe: func(d time.Duration) {
		if d <= 0 {
			t.Errorf("a commit took %v", d)
		}
		commits.Add(1)
	}})
	release := hold(t, s)
	var wg sync.WaitGroup
	var asked atomic.Int32
	for i := range 200 {
		wg.Go(func() {
			asked.Add(1)
			if err := s.Put(t.Context(), record(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); asked.Load() < 200; {
		if time.Now().After(deadline) {
			t.Fatal("the writers never came")
		}
	}
	release()
	wg.Wait()
	if n := commits.Load(); n < 1 || n > 100 {
		t.Errorf("%d commits for 200 writes", n)
	}
	if recs, err := s.All(t.Context()); err != nil || len(recs) != 200 {
		t.Errorf("%d records, %v", len(recs), err)
	}
}

func TestPutReturnsWhenItsContextIsDone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	s := openAt(t, path, Options{})
	release := hold(t, s)
	for _, id := range []string{"taken", "waiting"} { // by the committer; for it
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := s.Put(ctx, record(id))
		cancel()
		if !errors.Is(err, provider.Canceled) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", id, err)
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for !errors.Is(s.Put(t.Context(), record("late")), errClosed) {
	}
	select {
	case <-closed:
		t.Error("Close did not wait for the write under way")
	default:
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	recs, err := openAt(t, path, Options{}).All(t.Context())
	if err != nil || len(recs) != 1 || recs[0].SessionID != "taken" {
		t.Errorf("got %v, %v", recs, err)
	}
}

func TestARecordTooLargeFailsAlone(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "leases.db"), Options{})
	for _, rec := range []Record{
		{SessionID: strings.Repeat("x", 2000)},
		{SessionID: "big", Metadata: map[string]string{"k": strings.Repeat("x", 2<<20)}},
	} {
		if err := s.Put(t.Context(), rec); !errors.Is(err, provider.InvalidArgument) || !strings.Contains(err.Error(), "are allowed") {
			t.Errorf("got %.200v", err)
		}
	}
	if err := s.Delete(t.Context(), strings.Repeat("x", 2000)); err != nil {
		t.Error(err)
	}
}

func TestNoRegularFileOrNoDirectory(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(t.Context(), filepath.Join(dir, "missing", "leases.db"), Options{})
	if !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "leases.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), filepath.Join(dir, "leases.db"), Options{})
	if !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
}
