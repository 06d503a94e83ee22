package supervisor_test

import (
	"slices"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// A plugin whose capabilities change from one life to the next, for no reason, is not believed
// what it did not claim each time, and it is counted. Another binary may well do more.
func TestPromise7_CapabilitiesThatChange(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		all := provider.CapabilitiesOf(b.backend.Provider())
		claims := func(caps ...provider.Capability) { b.launcher.claims.Store(&caps) }
		want := func(counted int, caps ...provider.Capability) {
			t.Helper()
			if got := b.Capabilities(); !slices.Equal(got, caps) {
				t.Errorf("believed: %q, want %q", got, caps)
			}
			if n := b.observer.rpc("configure bad answer"); n != counted {
				t.Errorf("%d claims were counted, want %d", n, counted)
			}
		}
		b.run()
		b.ready()
		want(0, all...)
		again := func() { b.die(); b.ready() }
		again()
		want(0, all...)
		claims(all[0])
		again()
		want(1, all[0])
		claims(all...)
		again()
		want(2, all[0])
		again() // which it said the last time, too
		want(2, all[0])
		b.launcher.print.Store("another binary")
		again()
		want(2, all...)
	})
}
