package leasetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// Sample returns a record in which every field is set.
func Sample(sessionID string) lease.Record {
	at := time.Date(2026, 4, 2, 12, 0, 0, 123456000, time.UTC)
	code := 137
	return lease.Record{
		SessionID: sessionID, ChatID: "7d444840-9dc0-11d1-b245-5ffdce74fad2", AgentID: "agent-7",
		Template: "default", Provider: "docker",
		RequestHash: "c0ffee", TTL: 5 * time.Minute,
		Volume: "/srv/volumes/a/../b", VolumeHostPath: "/srv/volumes/b",
		Metadata:  map[string]string{"team": "blue", "ümlaut": "<&>\n"},
		CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute), FirstExpiresAt: at.Add(4 * time.Minute),
		SandboxName: "berth-0123456789ab-" + sessionID, SandboxID: "f00d", Identity: "ENGINE:ID",
		Endpoint: &lease.Endpoint{IP: "172.20.0.8", Port: 8000},
		Ready:    lease.Ready{TCP: true, HTTP: "/healthz", Timeout: 30 * time.Second},
		Adopted:  true, SandboxOwner: "owner-of-old",
		State: lease.Ended, Reason: lease.OOMKilled, Cause: "out of memory",
		Ended: &lease.End{Reason: lease.OOMKilled, ExitCode: &code, OOMKilled: true, At: at.Add(time.Minute), Message: "gone"},
	}
}

// Suite runs what every store promises. open returns a new, empty store that the suite
// closes; reopen one over the same records, after that was closed.
func Suite(t *testing.T, open func(*testing.T) lease.Store, reopen func(*testing.T, lease.Store) lease.Store) {
	ctx := t.Context()

	t.Run("every field survives a reopening", func(t *testing.T) {
		s := open(t)
		want := Sample("s-1")
		for i, v := 0, reflect.ValueOf(want); i < v.NumField(); i++ {
			if v.Field(i).IsZero() {
				t.Errorf("the sample does not set %s", v.Type().Field(i).Name)
			}
		}
		must(t, s.Put(ctx, want))
		birth := s.Birth()
		must(t, s.Close())
		s = reopen(t, s)
		defer s.Close()
		if got := all(t, s); !reflect.DeepEqual(got, map[string]lease.Record{"s-1": want}) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if !s.Birth().Equal(birth) || birth.IsZero() {
			t.Errorf("birth %v, after reopening %v", birth, s.Birth())
		}
	})

	t.Run("put replaces, delete forgets", func(t *testing.T) {
		s := open(t)
		defer s.Close()
		must(t, s.Put(ctx, Sample("a")))
		must(t, s.Put(ctx, Sample("b")))
		changed := Sample("a")
		changed.ExpiresAt = changed.ExpiresAt.Add(time.Hour)
		must(t, s.Put(ctx, changed))
		must(t, s.Delete(ctx, "b"))
		must(t, s.Delete(ctx, "b"))
		must(t, s.Delete(ctx, "never"))
		if got := all(t, s); len(got) != 1 || !got["a"].ExpiresAt.Equal(changed.ExpiresAt) {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("what was put or got is a copy", func(t *testing.T) {
		s := open(t)
		defer s.Close()
		rec := Sample("a")
		must(t, s.Put(ctx, rec))
		rec.Metadata["team"] = "red"
		all(t, s)["a"].Endpoint.Port = 1
		if got := all(t, s)["a"]; got.Metadata["team"] != "blue" || got.Endpoint.Port != 8000 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("writers at once", func(t *testing.T) {
		s := open(t)
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := range 20 {
					id := fmt.Sprintf("%d-%d", w, i)
					if err := s.Put(ctx, Sample(id)); err != nil {
						t.Error(err)
					}
					if i%2 == 1 {
						if err := s.Delete(ctx, id); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		must(t, s.Close())
		s = reopen(t, s)
		defer s.Close()
		if got := all(t, s); len(got) != 160 {
			t.Errorf("%d records, want 160", len(got))
		}
	})

	t.Run("refusals", func(t *testing.T) {
		s := open(t)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		wantClass(t, s.Put(gone, Sample("a")), provider.Canceled)
		wantClass(t, s.Delete(gone, "a"), provider.Canceled)
		_, err := s.All(gone)
		wantClass(t, err, provider.Canceled)
		wantClass(t, s.Put(ctx, lease.Record{}), provider.InvalidArgument)
		must(t, s.Close())
		must(t, s.Close())
		wantClass(t, s.Put(ctx, Sample("a")), provider.Unavailable)
		wantClass(t, s.Delete(ctx, "a"), provider.Unavailable)
		_, err = s.All(ctx)
		wantClass(t, err, provider.Unavailable)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err error, class provider.Class) {
	t.Helper()
	if !errors.Is(err, class) || provider.ClassOf(err) != class {
		t.Errorf("error %v of class %q, want %q", err, provider.ClassOf(err), class)
	}
}

func all(t *testing.T, s lease.Store) map[string]lease.Record {
	t.Helper()
	recs, err := s.All(t.Context())
	must(t, err)
	byID := map[string]lease.Record{}
	for _, r := range recs {
		if _, twice := byID[r.SessionID]; twice {
			t.Errorf("%s is listed twice", r.SessionID)
		}
		byID[r.SessionID] = r
	}
	return byID
}
