package suite

import (
	"fmt"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var labelChecks = []check{
	{name: "labels come back as they were written",
		promise: "every text on a sandbox comes back byte by byte: empty, long, in any script, with quotes, blanks and line ends", run: checkLabels},
	{name: "times keep their microseconds",
		promise: "the deadline on a sandbox comes back to the microsecond", run: checkTimes},
}

// oddTexts are what callers write into ids of agents, paths and names.
var oddTexts = []string{
	"", " ",
	"Größe 日本語 עברית 🛥\u200d🌊 e\u0301", `it's "quoted" and back\slashed\\`,
	"two\nlines\r\n\tand a tab", " blanks at both ends ",
	strings.Repeat("long/", 800), `{"json": ["in", 1], "null": null}`,
	"$HOME ${session.id} $(id) `id` %s %d", "a=b,c:d;e&f|g<h>i#j?k*l~!@^",
	"-rf", "null",
	"<no value>", "UPPER lower 0123",
}

func checkLabels(e *env) {
	h := e.host()
	for i := 0; i < len(oddTexts); i += 2 {
		agent, volume := oddTexts[i], oddTexts[i+1]
		spec := e.spec(func(s *provider.Spec) {
			s.AgentID, s.VolumeHostPath, s.Template = agent, volume, oddTexts[(i+3)%len(oddTexts)]
			s.Env[0].Value = agent
		})
		did := fmt.Sprintf("created a sandbox of agent %q, volume %q and template %q", short(agent), short(volume), short(spec.Template))
		c, err := h.create(e.Context(), spec)
		if err != nil {
			e.broken(did, errorText(err), "a running sandbox: none of these texts is for the provider to judge")
			continue
		}
		e.everywhere(h, did, c.Sandbox, spec)
		h.deleted(spec, c.Sandbox.ID)
	}
}

// everywhere checks what Create, Get and List tell of a sandbox against its Spec.
func (e *env) everywhere(h *handle, did string, created provider.Sandbox, spec provider.Spec) {
	e.Helper()
	if !e.asked(did, created, spec) {
		return
	}
	if !e.asked(did+", and asked Get for it", h.seen(created.ID, "after its Create"), spec) {
		return
	}
	all, summary := h.sandboxes()
	found := mine(all, spec)
	if len(found) != 1 {
		e.broken(did+", and listed", fmt.Sprintf("%s; can't be read: %+v", idsText(found), summary.Unreadable), "the sandbox, once")
		return
	}
	e.asked(did+", and listed", found[0], spec)
}

func checkTimes(e *env) {
	h := e.host()
	second := time.Now().UTC().Truncate(time.Second).Add(time.Hour)
	for _, micros := range []int{0, 1, 123456, 999999, 120000} {
		spec := e.spec(func(s *provider.Spec) { s.ExpiresAt = second.Add(time.Duration(micros) * time.Microsecond) })
		c := h.made(spec)
		e.everywhere(h, "created a sandbox with the deadline "+spec.ExpiresAt.Format(time.RFC3339Nano), c.Sandbox, spec)
		h.deleted(spec, c.Sandbox.ID)
	}
}
