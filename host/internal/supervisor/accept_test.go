package supervisor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
)

// A changed backend is DEGRADED until the operator accepts it, by its own name alone; the
// engine is told once, and the provider is READY when no session is on another one.
func TestAcceptBackend(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.engine.with(func() { b.engine.identities = []string{"old"} })
		b.run()
		b.pass(5 * time.Second)
		says := func(words ...string) {
			t.Helper()
			b.wantState(lifecycle.Degraded)
			for _, w := range words {
				if reason := b.Report().Reason; !strings.Contains(reason, w) {
					t.Errorf("the reason %q does not say %q", reason, w)
				}
			}
		}
		says(`backend changed: it is now "A"`, `living sessions are on "old"`, `write accept_backend = "A"`)
		b.accept.Store("B")
		b.pass(5 * time.Second)
		says(`write accept_backend = "A"`, `it is "B" now`)
		if len(b.engine.told()) != 0 {
			t.Error("another backend was accepted")
		}
		b.engine.with(func() { b.engine.acceptErr = errors.New("out of luck") })
		b.accept.Store("A")
		b.pass(5 * time.Second)
		says("accept_backend: out of luck")
		b.engine.with(func() { b.engine.acceptErr, b.engine.accepted = nil, nil })
		b.pass(5 * time.Second)
		b.wantState(lifecycle.Ready)
		if told := b.engine.told(); !slices.Equal(told, []string{"A"}) {
			t.Errorf("the engine was told of %q", told)
		}
	})
}
