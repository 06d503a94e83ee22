package suite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

var fenceChecks = []check{
	{name: "the fence holds",
		promise: "Stop and Delete refuse with conflict, and touch nothing, when the sandbox bears another owner or session than the call means", run: checkFence},
	{name: "what has no owner is touched only as adopted",
		promise: "a sandbox without an owner is touched only by a call that says adopted", run: checkUnowned,
		needs: func(o Options, _ []provider.Capability) string {
			if o.Unowned == nil {
				return "Options.Unowned is nil: nobody makes a sandbox that has no owner"
			}
			return ""
		}},
}

func checkFence(e *env) {
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	for _, c := range []struct {
		what  string
		fence provider.Fence
	}{
		{"another owner", provider.Fence{Owner: "of-another", SessionID: spec.SessionID}},
		{"another owner, with adopted", provider.Fence{Owner: "of-another", SessionID: spec.SessionID, Adopted: true}},
		{"another session", provider.Fence{Owner: spec.Owner, SessionID: uuid.NewString()}},
		{"another session, with adopted", provider.Fence{Owner: spec.Owner, SessionID: uuid.NewString(), Adopted: true}},
		{"no owner", provider.Fence{SessionID: spec.SessionID}},
		{"no owner, with adopted", provider.Fence{SessionID: spec.SessionID, Adopted: true}},
		{"no session", provider.Fence{Owner: spec.Owner}},
	} {
		e.refused(h, id, c.what, c.fence)
	}
	fence := fenceOf(spec)
	fence.Adopted = true
	if _, err := h.stop(e.Context(), provider.StopRequest{ID: id, Fence: fence, Grace: shortGrace}); err != nil {
		e.broken("stopped a sandbox of this owner and session, with adopted", errorText(err), "it stops: adopted matters only where there is no owner")
	}
	if _, err := h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: fence}); err != nil {
		e.broken("deleted a sandbox of this owner and session, with adopted", errorText(err), "it is gone")
	}
}

// refused checks that a fence which does not fit is refused by both verbs.
func (e *env) refused(h *handle, id, what string, fence provider.Fence) {
	e.Helper()
	stopped, err := h.stop(e.Context(), provider.StopRequest{ID: id, Fence: fence, Grace: shortGrace})
	if provider.ClassOf(err) != provider.Conflict {
		e.broken("asked Stop for a sandbox, with a fence of "+what, fmt.Sprintf("the outcome %q, %s", stopped.Outcome, errorText(err)), "an error of the class conflict")
	}
	if s := h.seen(id, "after a Stop that was to be refused"); s.State != provider.StateRunning {
		e.fatal("asked Stop for a sandbox, with a fence of "+what, sandboxText(s), "it runs on")
	}
	deleted, err := h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: fence})
	if provider.ClassOf(err) != provider.Conflict {
		e.broken("asked Delete for a sandbox, with a fence of "+what, fmt.Sprintf("the outcome %q, %s", deleted.Outcome, errorText(err)), "an error of the class conflict")
	}
	if s, err := h.get(e.Context(), provider.Ref{ID: id}); err != nil || s.State != provider.StateRunning {
		e.fatal("asked Delete for a sandbox, with a fence of "+what, sandboxText(s)+", "+errorText(err), "it runs on")
	}
}

func checkUnowned(e *env) {
	h := e.host()
	spec := e.spec()
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	id, err := e.opts.Unowned(ctx, spec)
	if err != nil {
		e.Fatalf("Options.Unowned: %v", err)
	}
	e.refused(h, id, "this owner, without adopted", fenceOf(spec))
	e.refused(h, id, "another session, with adopted", provider.Fence{Owner: spec.Owner, SessionID: uuid.NewString(), Adopted: true})
	d, err := h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: spec.Owner, SessionID: spec.SessionID, Adopted: true}})
	if err != nil || d.Outcome != provider.OutcomeDeleted {
		e.broken("deleted a sandbox without an owner, with adopted", fmt.Sprintf("the outcome %q, %s", d.Outcome, errorText(err)), `"deleted"`)
	}
}
