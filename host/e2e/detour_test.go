package e2e

import (
	"testing"

	"github.com/berth-dev/berth/host"
)

// detour is the way to a backend, which a test can cut, or lead to another backend.
type detour interface {
	// line has to be in the provider's block.
	line() string

	// cut lets no backend be where the provider looks for it, and another an empty one,
	// which spare has made; back brings back the one with the sandboxes.
	cut()
	spare()
	another()
	back()

	// identities are what the provider calls its own backend, and the spare one; alone
	// reports that nothing is on that.
	identities() (own, spare string)
	alone() bool

	// cause is what the provider says of a backend that is cut.
	cause() string
}

// gated makes a place whose provider's backend can be led away.
func (on kind) gated(t *testing.T, c settings) (*site, detour) {
	t.Helper()
	s := on.site(t)
	way := on.detour(s)
	c.provider = way.line() + c.provider
	return s.configure(c), way
}

// degraded waits until the provider is.
func (h *remote) degraded() {
	h.t.Helper()
	await(h.t, patience, "the provider is degraded", func() bool { return h.plugin().State == "degraded" })
}

// changed waits until the provider says that its backend has changed.
func (h *remote) changed() {
	h.t.Helper()
	await(h.t, patience, "the provider says that its backend has changed", func() bool {
		p := h.plugin()
		return p.State == "degraded" && p.Changed
	})
}

// runs reports whether a session's sandbox runs.
func (s *site) runs(v host.Session) bool {
	s.t.Helper()
	b, there := s.on.inspect(v.SandboxID)
	return there && b.running
}
