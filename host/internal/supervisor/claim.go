package supervisor

import (
	"bytes"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

// claim is what a generation says that it can do, and what that follows from.
type claim struct {
	binary string // its fingerprint
	config []byte
	said   []provider.Capability
	caps   []provider.Capability // what is believed of it
}

// believed returns the capabilities of a claim that are believed. The same binary with the same
// settings can do the same in each life: where it claims something else than in its last one,
// that is counted and told, and only what it has claimed each time is used.
func (s *Supervisor) believed(now claim) []provider.Capability {
	s.mu.Lock()
	last := s.claimed
	same := last.config != nil && last.binary == now.binary && bytes.Equal(last.config, now.config)
	now.caps = now.said
	if same {
		now.caps = slices.DeleteFunc(slices.Clone(now.said), func(c provider.Capability) bool { return !slices.Contains(last.caps, c) })
	}
	s.claimed = now
	s.mu.Unlock()
	if same && !slices.Equal(slices.Sorted(slices.Values(last.said)), slices.Sorted(slices.Values(now.said))) {
		s.observer.BadAnswer(s.opts.Name, "configure")
		s.log.Warn("an answer of the plugin is not believed", "method", "configure",
			"err", "it claims other capabilities than in its last life, with the same settings", "claims", now.said, "claimed", last.said, "used", now.caps)
	}
	return now.caps
}
