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
	caps   []provider.Capability
}

// believed returns the capabilities of a claim that are believed. The same binary with the same
// settings can do the same in each life: where it claims something else, that is counted and
// told, and only what it has claimed each time is used.
func (s *Supervisor) believed(now claim) []provider.Capability {
	s.mu.Lock()
	last := s.claimed
	same := last.config != nil && last.binary == now.binary && bytes.Equal(last.config, now.config)
	untrue := same && !slices.Equal(slices.Sorted(slices.Values(last.caps)), slices.Sorted(slices.Values(now.caps)))
	claimed := now.caps
	if same {
		now.caps = slices.DeleteFunc(slices.Clone(claimed), func(c provider.Capability) bool { return !slices.Contains(last.caps, c) })
	}
	s.claimed = now
	s.mu.Unlock()
	if untrue {
		s.observer.BadAnswer(s.opts.Name, "configure")
		s.log.Warn("an answer of the plugin is not believed", "method", "configure",
			"err", "it claims other capabilities than in its last life, with the same settings", "claims", claimed, "claimed", last.caps)
	}
	return now.caps
}
