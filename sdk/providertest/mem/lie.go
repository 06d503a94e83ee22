package mem

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// lieTwice is the lie of a list that has a sandbox twice.
const lieTwice = "twice"

// lies are what a fault block can make untrue about a sandbox in an answer.
var lies = map[string]func(*provider.Sandbox){
	"":         nil,
	lieTwice:   nil,
	"owner":    func(s *provider.Sandbox) { s.Owner = "somebody-else" },
	"session":  func(s *provider.Sandbox) { s.SessionID = "00000000-0000-4000-8000-000000000000" },
	"id":       func(s *provider.Sandbox) { s.ID = "never-asked-for" },
	"no_id":    func(s *provider.Sandbox) { s.ID = "" },
	"deadline": func(s *provider.Sandbox) { s.ExpiresAt = time.Unix(1, 0).UTC() },
	"huge":     func(s *provider.Sandbox) { s.AgentID = strings.Repeat("x", 17<<20) }, // over the boundary's limit
	"state":    func(s *provider.Sandbox) { s.State = "dancing" },
}

func lieNames() []string { return slices.Sorted(maps.Keys(lies)) }
