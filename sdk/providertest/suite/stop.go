package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// shortGrace is enough for what heeds the polite signal.
const shortGrace = 2 * time.Second

var stopChecks = []check{
	{name: "stop ends a sandbox and keeps it",
		promise: "Stop ends what runs in a sandbox, any number of times, and keeps the sandbox", run: checkStop},
	{name: "stop forces what is stubborn after the grace",
		promise: "Stop is polite for as long as the grace, and then forces the end", run: checkGrace,
		needs: func(o Options, _ []provider.Capability) string {
			if o.Stubborn == nil {
				return "Options.Stubborn is nil: nobody says which Spec ignores the polite signal"
			}
			return ""
		}},
}

func checkStop(e *env) {
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	for _, when := range []string{"that runs", "that was stopped before", "that was stopped twice before"} {
		s, err := h.stop(e.Context(), provider.StopRequest{ID: id, Fence: fenceOf(spec), Grace: shortGrace})
		if err != nil || s.Outcome != provider.OutcomeStopped {
			e.broken("stopped a sandbox "+when, fmt.Sprintf("the outcome %q, %s", s.Outcome, errorText(err)), `"stopped"`)
		}
	}
	s, err := h.get(e.Context(), provider.Ref{ID: id})
	e.ok(err, "stopped a sandbox, and asked Get for it", "it is there, exited")
	if s.State != provider.StateExited {
		e.broken("stopped a sandbox, and asked Get for it", sandboxText(s), "the state exited")
	}
	if s.Endpoint != nil {
		e.broken("stopped a sandbox, and asked Get for it", sandboxText(s), "no endpoint: nobody answers there any more")
	}
	if s.Exit == nil {
		e.broken("stopped a sandbox, and asked Get for it", "no exit", "how its process ended: Get inspects it")
	}
	e.asked("stopped a sandbox, and asked Get for it", s, spec)
	all, _ := h.sandboxes()
	found := mine(all, spec)
	if len(found) != 1 || found[0].State != provider.StateExited {
		e.broken("stopped a sandbox, and listed", idsText(found), "it is listed, exited: List tells sandboxes of every state")
	}
}

func checkGrace(e *env) {
	const grace = 2 * time.Second
	h := e.host()
	spec := e.spec(e.opts.Stubborn)
	id := e.ready(h.made(spec).Sandbox)
	begun := time.Now()
	s, err := h.stop(e.Context(), provider.StopRequest{ID: id, Fence: fenceOf(spec), Grace: grace})
	d := time.Since(begun)
	if err != nil || s.Outcome != provider.OutcomeStopped {
		e.broken("stopped a sandbox that ignores the polite signal", fmt.Sprintf("the outcome %q, %s", s.Outcome, errorText(err)), `"stopped"`)
	}
	if d < grace*9/10 || d > grace+e.opts.Soon {
		e.broken(fmt.Sprintf("stopped a sandbox that ignores the polite signal, with a grace of %s", grace), "it took "+took(d), "the grace, and little more")
	}
	if s := h.seen(id, "after its Stop"); s.State != provider.StateExited {
		e.broken("stopped a sandbox that ignores the polite signal", sandboxText(s), "the state exited")
	}

	spec = e.spec(e.opts.Stubborn)
	id = e.ready(h.made(spec).Sandbox)
	begun = time.Now()
	h.deleted(spec, id)
	if d := time.Since(begun); d > e.opts.Soon {
		e.broken("deleted a sandbox that ignores the polite signal", "it took "+took(d), "at once: Delete is not polite")
	}
}

// ready waits until what runs in a sandbox has begun its work, and returns its id.
func (e *env) ready(s provider.Sandbox) string {
	e.Helper()
	if e.opts.Ready != nil {
		ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
		defer cancel()
		if err := e.opts.Ready(ctx, s); err != nil {
			e.Fatalf("Options.Ready: %v", err)
		}
	}
	return s.ID
}

var deleteChecks = []check{
	{name: "delete works in every state",
		promise: "Delete removes a sandbox that runs, that was stopped, and, as not_found, one that is gone", run: checkDelete},
	{name: "deletes at once all succeed",
		promise: "of many Deletes at once each says deleted or not_found, and the sandbox is gone", run: checkDeletes},
}

func checkDelete(e *env) {
	h := e.host()
	for _, stop := range []bool{false, true} {
		spec := e.spec()
		id := h.made(spec).Sandbox.ID
		what := "a sandbox that runs"
		if stop {
			what = "a sandbox that was stopped"
			h.stopped(spec, id)
		}
		for _, want := range []provider.Outcome{provider.OutcomeDeleted, provider.OutcomeNotFound, provider.OutcomeNotFound} {
			d, err := h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: fenceOf(spec)})
			if err != nil || d.Outcome != want {
				e.broken("deleted "+what, fmt.Sprintf("the outcome %q, %s", d.Outcome, errorText(err)), fmt.Sprintf("%q", want))
			}
			e.gone(h, spec, id, "deleted "+what)
			what = "it again"
		}
	}
}

// gone checks that nothing tells of a sandbox any more.
func (e *env) gone(h *handle, spec provider.Spec, id, did string) {
	e.Helper()
	s, err := h.get(e.Context(), provider.Ref{ID: id})
	if provider.ClassOf(err) != provider.NotFound {
		e.fatal(did+", and asked Get for its id", sandboxText(s)+", "+errorText(err), "an error of the class not_found")
	}
	s, err = h.get(e.Context(), provider.Ref{Name: spec.Name})
	if provider.ClassOf(err) != provider.NotFound {
		e.fatal(did+", and asked Get for its name", sandboxText(s)+", "+errorText(err), "an error of the class not_found")
	}
	all, _ := h.sandboxes()
	if found := mine(all, spec); len(found) != 0 {
		e.fatal(did+", and listed", idsText(found), "it is not listed")
	}
}

func checkDeletes(e *env) {
	const callers = 8
	h := e.host()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	var answers [callers]provider.Deleted
	var errs [callers]error
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() {
			answers[i], errs[i] = h.del(e.Context(), provider.DeleteRequest{ID: id, Fence: fenceOf(spec)})
		})
	}
	work.Wait()
	removed := 0
	for i, d := range answers {
		if errs[i] != nil {
			e.broken("deleted one sandbox 8 times at once", errorText(errs[i]), "deleted, or not_found")
		}
		if d.Outcome == provider.OutcomeDeleted {
			removed++
		}
	}
	if removed == 0 {
		e.broken("deleted one sandbox 8 times at once", fmt.Sprintf("%v", answers), `at least one says "deleted"`)
	}
	e.gone(h, spec, id, "deleted a sandbox 8 times at once")
}
