package suite

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// NewSpec is a Spec that a right provider can carry out, with ids of its own and without a
// digest, which Prepare tells.
func (o Options) NewSpec(owner string) provider.Spec {
	o = o.withDefaults()
	s := o.Spec
	id := uuid.NewString()
	now := time.Now().UTC().Truncate(time.Microsecond)
	s.Owner, s.SessionID, s.ChatID = owner, id, uuid.NewString()
	s.AgentID, s.Template, s.RequestHash = "agent", "conformance", strings.Repeat("1a", 32)
	s.Name = "berth-" + s.Owner[:min(12, len(s.Owner))] + "-" + id
	s.CreatedAt, s.ExpiresAt = now, now.Add(time.Hour)
	if s.Resources == (provider.Resources{}) {
		s.Resources = provider.Resources{MemoryBytes: 64 << 20, NanoCPUs: 1e9, Pids: 64, Swap: provider.SwapAuto}
	}
	s.Env = append([]provider.EnvVar{{Name: "AGENT_ID", Value: s.AgentID}}, s.Env...)
	if o.Mutate != nil {
		o.Mutate(&s)
	}
	return s
}
