package suite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

var getChecks = []check{
	{name: "get finds by id and by name",
		promise: "Get answers with one and the same sandbox for its id and for its name", run: checkGet},
	{name: "every verb tells a missing sandbox",
		promise: "a missing sandbox is not_found: as an error of Get, and as the outcome of Stop and Delete", run: checkMissing},
	{name: "an id is taken whole",
		promise: "a part of an id, or a name, is no id: it names nothing", run: checkWholeIDs},
}

// missingID is an id that no sandbox has, of the form that this backend's ids have.
func missingID(e *env) string {
	e.Helper()
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	h.deleted(spec, id)
	return id
}

func checkGet(e *env) {
	h := e.host()
	spec := e.spec()
	made := h.made(spec)
	byID := h.seen(made.Sandbox.ID, "by its id")
	byName, err := h.get(e.Context(), provider.Ref{Name: spec.Name})
	e.ok(err, "asked Get by the name of the Spec", "the sandbox")
	e.asked("asked Get by id", byID, spec)
	if a, b := asJSON(byID), asJSON(byName); a != b {
		e.broken("asked Get by id and by name", a+"\nand\n"+b, "the same")
	}
	if a, b := asJSON(byID), asJSON(made.Sandbox); a != b {
		e.broken("compared Get with the answer to Create", a+"\nand\n"+b, "the same, while nothing has changed")
	}
	both, err := h.get(e.Context(), provider.Ref{ID: made.Sandbox.ID, Name: "another"})
	if err != nil || both.ID != made.Sandbox.ID {
		e.broken("asked Get by an id, and by a name that nobody has", sandboxText(both)+", "+errorText(err), "the sandbox: the id wins")
	}
}

func checkMissing(e *env) {
	h := e.host()
	spec := e.spec()
	for what, id := range map[string]string{"of a sandbox that was deleted": missingID(e), "that was never given": uuid.NewString()} {
		s, err := h.get(e.Context(), provider.Ref{ID: id})
		if err == nil {
			e.broken("asked Get for an id "+what, sandboxText(s), "an error of the class not_found")
		} else {
			e.class(err, provider.NotFound, "asked Get for an id "+what)
		}
		e.absent(h, spec, id, what)
	}
	_, err := h.get(e.Context(), provider.Ref{Name: spec.Name})
	e.class(err, provider.NotFound, "asked Get for a name that nobody has")
}

// absent checks the outcomes of Stop and Delete of an id that names nothing.
func (e *env) absent(h *handle, spec provider.Spec, id, what string) {
	e.Helper()
	stopped, err := h.stop(e.Context(), provider.StopRequest{ID: id, Fence: fenceOf(spec)})
	if err != nil || stopped.Outcome != provider.OutcomeNotFound {
		e.broken("asked Stop for an id "+what, fmt.Sprintf("the outcome %q, %s", stopped.Outcome, errorText(err)), `the outcome "not_found", no error`)
	}
	deleted, err := h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: fenceOf(spec)})
	if err != nil || deleted.Outcome != provider.OutcomeNotFound {
		e.broken("asked Delete for an id "+what, fmt.Sprintf("the outcome %q, %s", deleted.Outcome, errorText(err)), `the outcome "not_found", no error`)
	}
}

func checkWholeIDs(e *env) {
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	for _, c := range []struct{ what, part string }{
		{"that is a sandbox's name", spec.Name},
		{"that lacks the last character of a sandbox's", id[:len(id)-1]},
		{"that is the first half of a sandbox's", id[:len(id)/2]},
	} {
		what, part := c.what, c.part
		if part == "" {
			continue
		}
		if s, err := h.get(e.Context(), provider.Ref{ID: part}); provider.ClassOf(err) != provider.NotFound {
			e.broken("asked Get for an id "+what, sandboxText(s)+", "+errorText(err), "an error of the class not_found")
		}
		e.absent(h, spec, part, what)
	}
	if s, err := h.get(e.Context(), provider.Ref{Name: id}); provider.ClassOf(err) != provider.NotFound {
		e.broken("asked Get for a name that is a sandbox's id", sandboxText(s)+", "+errorText(err), "an error of the class not_found")
	}
	if s := h.seen(id, "after Stop and Delete of parts of its id"); s.State != provider.StateRunning {
		e.broken("asked Stop and Delete for parts of its id", sandboxText(s), "it runs on")
	}
}

// stopped stops a sandbox, which must succeed.
func (h *handle) stopped(spec provider.Spec, id string) provider.Stopped {
	h.e.Helper()
	s, err := h.stop(h.e.Context(), provider.StopRequest{ID: id, Fence: fenceOf(spec), Grace: shortGrace})
	h.e.ok(err, "stopped a sandbox that runs", "it stops, and stays")
	return s
}

// deleted deletes a sandbox, which must succeed.
func (h *handle) deleted(spec provider.Spec, id string) {
	h.e.Helper()
	h.deletedIn(h.e.Context(), spec, id)
}

func (h *handle) deletedIn(ctx context.Context, spec provider.Spec, id string) {
	h.e.Helper()
	_, err := h.del(ctx, provider.DeleteRequest{ID: id, Fence: fenceOf(spec)})
	h.e.ok(err, "deleted a sandbox of this owner and session", "it is gone")
}
