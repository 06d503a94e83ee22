package records_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/detached"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/records"
)

// programs runs the program that a spec names. before, where it is set, comes first.
type programs struct {
	detached.Processes
	before func() error
}

func (*programs) Prepare(context.Context, provider.PrepareRequest) (provider.Prepared, error) {
	return provider.Prepared{}, nil
}

func (r *programs) Start(_ context.Context, dir string, spec provider.Spec) error {
	if r.before != nil {
		if err := r.before(); err != nil {
			return err
		}
	}
	return detached.Start(dir, detached.Command(spec))
}

// world is a provider on a directory of its own.
type world struct {
	*records.Provider
	t       *testing.T
	dir     string
	runtime *programs
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "sandboxes"), runtime: &programs{}}
	w.Provider = w.open()
	t.Cleanup(func() {
		entries, err := os.ReadDir(w.dir)
		if err != nil {
			return // a test has moved it away
		}
		for _, e := range entries {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			if err := w.runtime.End(ctx, filepath.Join(w.dir, e.Name()), 0); e.IsDir() && err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	return w
}

// open is one more plugin on the same directory.
func (w *world) open() *records.Provider {
	w.t.Helper()
	p, err := records.Open(w.dir, w.runtime, records.Options{Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func spec(session string) provider.Spec {
	return provider.Spec{Name: "berth-me-" + session, Owner: "me", SessionID: session, RequestHash: "hash",
		Image: "/bin/sh", Command: []string{"-c", "echo up; exec sleep 1000"},
		ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 678901000, time.UTC)}
}

func (w *world) made(s provider.Spec) provider.Created {
	w.t.Helper()
	made, err := w.Create(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func (w *world) deleted(id, session string, want provider.Outcome) {
	w.t.Helper()
	got, err := w.Delete(w.t.Context(), provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: "me", SessionID: session}})
	if err != nil || got.Outcome != want {
		w.t.Errorf("delete: %+v, %v; want %s", got, err, want)
	}
}

func (w *world) list() (all []provider.Sandbox, summary provider.ListSummary) {
	w.t.Helper()
	summary, err := w.List(w.t.Context(), func(s provider.Sandbox) error { all = append(all, s); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return all, summary
}

// wantEntries checks that nothing is in the directory but so many sandboxes.
func (w *world) wantEntries(n int) {
	w.t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil || len(entries) != n+1 {
		w.t.Errorf("the directory has %v, %v; want the identity and %d sandboxes", entries, err, n)
	}
}
