package lifecycle_test

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A backend that once does not say who it is holds nothing up for good: it is asked again.
func TestAnIdentityThatHangs(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Hang: true})
		w.createLater(t.Context(), id1)
		w.crash()
		w.mem.Clear()
		w.start()
		w.mem.Put(provider.Sandbox{Owner: owner, SessionID: id2, CreatedAt: time.Now()})
		w.mem.Fail(mem.Identity, mem.Fault{Times: 2, Hang: true})
		w.pass(6 * time.Minute)
		w.ended(id1, lease.Failed)
		w.boxes(0)
	})
}
