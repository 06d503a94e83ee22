package suite

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

var conflictChecks = []check{
	{name: "a taken name is a conflict",
		promise: "a name that another request, session or owner has taken is a conflict, and what has it is not touched", run: checkConflict},
}

func checkConflict(e *env) {
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	for _, c := range []struct {
		what   string
		change func(*provider.Spec)
	}{
		{"another request hash", func(s *provider.Spec) { s.RequestHash = "2b" + s.RequestHash[2:] }},
		{"another session", func(s *provider.Spec) { s.SessionID = uuid.NewString() }},
		{"another owner", func(s *provider.Spec) { s.Owner = "of-another" }},
	} {
		other := spec
		c.change(&other)
		e.track(other)
		did := "created a sandbox of a name that is taken, with " + c.what
		got, err := h.create(e.Context(), other)
		if err == nil {
			e.broken(did, fmt.Sprintf("the outcome %q and %s", got.Outcome, sandboxText(got.Sandbox)), "an error of the class conflict")
		} else {
			e.class(err, provider.Conflict, did)
		}
		s, err := h.get(e.Context(), provider.Ref{ID: id})
		if err != nil || s.State != provider.StateRunning || s.Owner != spec.Owner || s.SessionID != spec.SessionID || s.RequestHash != spec.RequestHash {
			e.fatal(did+", and asked Get for the one that has the name", fmt.Sprintf("%s, %s", sandboxText(s), errorText(err)), "it runs on, as it was")
		}
	}
	e.one(h, spec, "created three others of the same name")
}
