package suite

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var cancelChecks = []check{
	{name: "a canceled create leaves none or one",
		promise: "a Create whose caller has left leaves nothing, or one sandbox; the next Create and Delete of this session work", run: checkCancelCreate},
	{name: "verbs hear that their caller has left",
		promise: "a verb whose caller has left returns soon, and never says of a sandbox that is there that it is not", run: checkCancelVerbs},
}

func checkCancelCreate(e *env) {
	h := e.host()
	spec := e.spec()
	begun := time.Now()
	h.deleted(spec, h.made(spec).Sandbox.ID)
	long := time.Since(begun) / 2 // a create takes about so long
	canceled := 0
	for _, part := range []float64{0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.95} {
		spec := e.spec()
		after := time.Duration(float64(long) * part)
		ctx, cancel := context.WithTimeout(e.Context(), after)
		_, err := h.create(ctx, spec)
		cancel()
		did := fmt.Sprintf("created a sandbox with a context that was done after %s", after)
		if err != nil {
			canceled++
			if c := provider.ClassOf(err); c != provider.Canceled && c != provider.Unavailable {
				e.broken(did, errorText(err), "success, or an error of the class canceled (unavailable where the outcome is unknown)")
			}
		}
		all, _ := h.sandboxes()
		found := mine(all, spec)
		switch {
		case len(found) > 1:
			e.broken(did+", and listed", idsText(found), "none or one")
		case e.s.kind == bare && err != nil && len(found) != 0:
			// Over a connection the caller is back before the provider is.
			e.broken(did+", which failed, and listed", idsText(found), "none: a Create that fails leaves nothing, also when its context is done")
		}
		e.converges(h, spec, did)
	}
	e.Logf("%d of 7 creates were canceled before their end (a create takes about %s)", canceled, took(long))
}

// converges creates what may be there or not, and deletes it.
func (e *env) converges(h *handle, spec provider.Spec, did string) {
	e.Helper()
	again, err := h.create(e.Context(), spec)
	if err != nil {
		e.fatal(did+", and created the same again", errorText(err), "a running sandbox, created or adopted")
	}
	e.asked(did+", and created the same again", again.Sandbox, spec)
	if s := h.seen(again.Sandbox.ID, "after "+did+" and the same again"); s.State != provider.StateRunning {
		e.broken(did+", created the same again, and asked Get for it", sandboxText(s), "it runs")
	}
	e.one(h, spec, did+", and the same again")
	d, err := h.del(e.Context(), provider.DeleteRequest{ID: again.Sandbox.ID, Fence: fenceOf(spec)})
	if err != nil || d.Outcome != provider.OutcomeDeleted {
		e.broken(did+", created the same again, and deleted it", fmt.Sprintf("the outcome %q, %s", d.Outcome, errorText(err)), `"deleted"`)
	}
	e.gone(h, spec, again.Sandbox.ID, did+", created the same again, and deleted it")
}

func checkCancelVerbs(e *env) {
	h := e.fresh()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	for _, after := range []time.Duration{0, time.Millisecond} {
		call := func(verb string, f func(ctx context.Context) (present bool, err error)) {
			ctx, cancel := context.WithTimeout(e.Context(), after)
			defer cancel()
			begun := time.Now()
			present, err := f(ctx)
			did := fmt.Sprintf("asked %s with a context that was done after %s", verb, after)
			if d := time.Since(begun); d > e.opts.Soon {
				e.other(promiseAnswers, did, "it took "+took(d), "it returns soon after its context is done")
			}
			switch {
			case err == nil && !present:
				e.broken(did, "that there is no such sandbox", "success, or an error of the class canceled")
			case err != nil && provider.ClassOf(err) != provider.Canceled && err != errBroken:
				e.broken(did, errorText(err), "success, or an error of the class canceled")
			}
		}
		call("Get", func(ctx context.Context) (bool, error) {
			_, err := h.get(ctx, provider.Ref{ID: id})
			return true, err
		})
		call("List", func(ctx context.Context) (bool, error) {
			all, _, err := h.list(ctx)
			return len(mine(all, spec)) == 1, err
		})
		call("Identity", func(ctx context.Context) (bool, error) { _, err := h.identity(ctx); return true, err })
		call("Prepare", func(ctx context.Context) (bool, error) {
			_, err := h.prepare(ctx, provider.PrepareRequest{Image: spec.Image, Config: spec.Config})
			return true, err
		})
		call("Stop", func(ctx context.Context) (bool, error) {
			s, err := h.stop(ctx, provider.StopRequest{ID: id, Fence: fenceOf(spec), Grace: shortGrace})
			return s.Outcome == provider.OutcomeStopped, err
		})
	}
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	if _, err := h.del(ctx, provider.DeleteRequest{ID: id, Fence: fenceOf(spec)}); err != nil {
		e.class(err, provider.Canceled, "asked Delete with a context that is done")
	}
	h.deleted(spec, id)
	e.gone(h, spec, id, "deleted a sandbox after a Delete that was canceled")
}
