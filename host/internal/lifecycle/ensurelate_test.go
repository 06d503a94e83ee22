package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
)

// The deadline passes while an extension is on its way to the disk. Ensure waits for that,
// and does not give the chat a second session.
func TestEnsureWaitsForAnExtension(t *testing.T) {
	for name, lands := range map[string]bool{"it lands": true, "it fails": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				s, err := w.engine.Ensure(t.Context(), request(""))
				w.must(err)
				w.pass(time.Until(s.ExpiresAt) - time.Second)
				if !lands {
					w.store.Fail(leaseFault(1))
				}
				release := w.store.Hold()
				extend := later(func() (lifecycle.Session, error) { return w.engine.Extend(t.Context(), s.ID, by(time.Minute)) })
				w.pass(2 * time.Second)
				ensure := later(func() (lifecycle.Session, error) { return w.engine.Ensure(t.Context(), request("")) })
				w.pending(ensure)
				release()
				got := w.over(ensure)
				w.must(got.err)
				if same := got.session.ID == s.ID; same != lands {
					t.Errorf("ensured %s, it had %s", got.session.ID, s.ID)
				}
				if err := w.over(extend).err; (err == nil) != lands {
					t.Errorf("extend: %v", err)
				}
				w.boxes(1)
				if !lands {
					w.ended(s.ID, lease.Expired)
				}
			})
		})
	}
}
