package e2e

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// The provider without a daemon behind berth serve: its sandboxes outlive plugin and host,
// are found again with the deadlines that were pushed, tell of their ends, and are gone after
// their deadlines with all that was theirs.
func TestPromise3_ProcessProvider(t *testing.T) {
	t.Parallel()
	s := processKind.site(t).configure(settings{lifecycle: map[string]string{"sweep_interval": `"1s"`},
		template: map[string]string{"ttl": `"15s"`}})
	d := s.serve(world.bin)
	kept, short, deleted := d.made(chat()), d.made(chat()), d.made(chat())
	answers := func(v host.Session) {
		t.Helper()
		if text, err := try(v, "/"); err != nil || text == "" {
			t.Errorf("session %s answers %q, %v", v.ID, text, err)
		}
	}
	answers(kept)
	longer, err := d.Extend(t.Context(), kept.ID, host.ExtendRequest{By: 10 * time.Second, Seen: kept.ExpiresAt})
	if err != nil {
		t.Fatal(err)
	}
	d.kill9(s)
	for _, v := range []host.Session{kept, short, deleted} {
		answers(v)
	}
	d = s.serve(world.bin)
	if now := d.now(kept.ID); now.Status != host.StatusRunning || now.SandboxID != kept.SandboxID || !now.ExpiresAt.Equal(longer.ExpiresAt) {
		t.Errorf("for the next host it is %+v, and was %+v", now, longer)
	}
	answers(kept)
	if err := d.Delete(t.Context(), deleted.ID); err != nil {
		t.Error(err)
	}
	await(t, patience, "both have ended at their deadlines", func() bool {
		a, b := d.now(kept.ID), d.now(short.ID)
		return a.Status == host.StatusEnded && a.Ended.Reason == host.ReasonExpired && !a.Ended.At.Before(longer.ExpiresAt) &&
			b.Status == host.StatusEnded && b.Ended.Reason == host.ReasonExpired
	})
	if names := s.entries("disk/process/sandboxes"); len(names) != 0 {
		t.Errorf("left in the provider's directory: %q", names)
	}
	d.terminate()
}
