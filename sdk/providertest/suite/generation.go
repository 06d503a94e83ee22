package suite

import (
	"fmt"

	"github.com/berth-dev/berth/sdk/provider"
)

var generationChecks = []check{
	{name: "a new generation finds what there is",
		promise: "a plugin holds no state that matters: the next generation finds, adopts, stops and deletes what the one before has made", run: checkGenerations},
}

func checkGenerations(e *env) {
	spec := e.spec()
	first := e.fresh()
	made := first.made(spec)
	e.same(made.Identity, "created a sandbox, and looked at the identity in the answer")
	e.closed(first.g)
	const did = "created a sandbox, ended the plugin, and started a new one"

	second := e.fresh()
	identity, err := second.identity(e.Context())
	e.ok(err, did+"; asked Identity", "the backend's id")
	e.same(identity, did+"; asked Identity")
	s, err := second.get(e.Context(), provider.Ref{ID: made.Sandbox.ID})
	if err != nil || s.State != provider.StateRunning {
		e.fatal(did+"; asked Get", sandboxText(s)+", "+errorText(err), "the sandbox, which runs on")
	}
	e.everywhere(second, did, s, spec)
	again, err := second.create(e.Context(), spec)
	if err != nil || again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != made.Sandbox.ID {
		e.broken(did+"; created the same again", fmt.Sprintf("the outcome %q and the sandbox %q, %s", again.Outcome, again.Sandbox.ID, errorText(err)),
			fmt.Sprintf(`"adopted" and %q`, made.Sandbox.ID))
	}
	refused := provider.Fence{Owner: "of-another", SessionID: spec.SessionID}
	if _, err := second.del(e.Context(), provider.DeleteRequest{ID: made.Sandbox.ID, Fence: refused}); provider.ClassOf(err) != provider.Conflict {
		e.broken(did+"; deleted with the fence of another owner", errorText(err), "an error of the class conflict: the fence is on the sandbox, not in the plugin")
	}
	second.stopped(spec, made.Sandbox.ID)
	e.closed(second.g)

	third := e.fresh()
	if s := third.seen(made.Sandbox.ID, "with a third generation"); s.State != provider.StateExited {
		e.broken("stopped a sandbox, and asked the next generation for it", sandboxText(s), "exited")
	}
	third.deleted(spec, made.Sandbox.ID)
	e.gone(third, spec, made.Sandbox.ID, "deleted with a third generation")
	// Two generations at once, as while a host replaces a plugin that hangs.
	e.gone(e.host(), spec, made.Sandbox.ID, "deleted with another generation")
}
