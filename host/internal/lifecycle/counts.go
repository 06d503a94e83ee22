package lifecycle

import (
	"fmt"

	"github.com/berth-dev/berth/host/internal/lease"
)

// counts are the living sessions, for the limits. The engine's lock guards them.
type counts struct {
	all      int
	template map[string]int
	agent    map[agentOf]int
}

type agentOf struct{ template, agent string }

func newCounts() counts {
	return counts{template: map[string]int{}, agent: map[agentOf]int{}}
}

func (c *counts) add(rec lease.Record)    { c.change(rec, 1) }
func (c *counts) remove(rec lease.Record) { c.change(rec, -1) }

func (c *counts) change(rec lease.Record, by int) {
	c.all += by
	if c.template[rec.Template] += by; c.template[rec.Template] == 0 {
		delete(c.template, rec.Template)
	}
	key := agentOf{rec.Template, rec.AgentID}
	if c.agent[key] += by; c.agent[key] == 0 {
		delete(c.agent, key)
	}
}

// room tells which limit one more session would break, or "".
func (c *counts) room(rec lease.Record, max int, t TemplateLimits) string {
	switch {
	case c.all >= max:
		return fmt.Sprintf("max_sessions is %d, and so many live", max)
	case t.Sessions > 0 && c.template[rec.Template] >= t.Sessions:
		return fmt.Sprintf("template %q: limits.sessions is %d, and so many live", rec.Template, t.Sessions)
	case t.SessionsPerAgent > 0 && c.agent[agentOf{rec.Template, rec.AgentID}] >= t.SessionsPerAgent:
		return fmt.Sprintf("template %q: limits.sessions_per_agent is %d, and agent %q has so many", rec.Template, t.SessionsPerAgent, rec.AgentID)
	}
	return ""
}
