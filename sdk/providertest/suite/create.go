package suite

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var createChecks = []check{
	{name: "prepare can be repeated",
		promise: "Prepare tells a digest, the same each time, and makes no sandbox", run: checkPrepare},
	{name: "create makes what was asked for",
		promise: "Create answers with the sandbox that was asked for: running, with an id, the labels of its Spec, its endpoint, and the backend's identity", run: checkCreate},
	{name: "create is idempotent",
		promise: "one session, one sandbox: the same Create again answers with the same sandbox, as adopted", run: checkIdempotent},
	{name: "sixteen creates at once make one sandbox",
		promise: "one session, one sandbox: of many Creates at once one makes it, and the others adopt it", run: checkSixteen},
	{name: "create makes anew what does not run",
		promise: "a Create of a sandbox that has ended removes it by its id and makes it once more", run: checkRemake},
	{name: "an id names one incarnation",
		promise: "an id is never used again: a sandbox that is made after a Delete has another one", run: checkIncarnations},
	{name: "a failed create leaves nothing",
		promise: "when Create fails, nothing of the sandbox is left", run: checkFailedCreate,
		needs: func(o Options, _ []provider.Capability) string {
			if o.Fails == nil {
				return "Options.Fails is nil: nobody says which Spec fails half way"
			}
			return ""
		}},
}

func checkPrepare(e *env) {
	h := e.host()
	spec := e.spec()
	before, _ := h.sandboxes()
	var first provider.Prepared
	for i := range 3 {
		p, err := h.prepare(e.Context(), provider.PrepareRequest{Image: spec.Image, Config: spec.Config})
		e.ok(err, "prepared the image "+spec.Image, "its digest")
		if p.Digest == "" {
			e.fatal("prepared the image "+spec.Image, "no digest", "what Create is to make the sandbox from: a digest, or an id of the image")
		}
		if i == 0 {
			first = p
		}
		if p != first {
			e.broken("prepared the same image again", fmt.Sprintf("%+v, where it was %+v", p, first), "the same answer")
		}
	}
	after, _ := h.sandboxes()
	if n, m := len(owned(before, e.owner)), len(owned(after, e.owner)); n != m {
		e.broken("prepared an image three times", fmt.Sprintf("%d sandboxes where there were %d", m, n), "Prepare makes nothing that needs a clean-up")
	}
}

// owned picks the sandboxes of an owner out of a list.
func owned(all []provider.Sandbox, owner string) []provider.Sandbox {
	var found []provider.Sandbox
	for _, s := range all {
		if s.Owner == owner {
			found = append(found, s)
		}
	}
	return found
}

func checkCreate(e *env) {
	h := e.host()
	identity, err := h.identity(e.Context())
	e.ok(err, "asked Identity", "the backend's id")
	spec := e.spec()
	begun := time.Now()
	c := h.made(spec)
	e.Logf("create took %s", took(time.Since(begun)))
	const did = "created a sandbox"
	if c.Outcome != provider.OutcomeCreated {
		e.broken(did, fmt.Sprintf("the outcome %q", c.Outcome), `"created"`)
	}
	if c.Identity != identity {
		e.broken(did, fmt.Sprintf("the identity %q", c.Identity), fmt.Sprintf("that of the backend which runs it: Identity answers %q", identity))
	}
	e.asked(did, c.Sandbox, spec)
	if c.Sandbox.State != provider.StateRunning {
		e.broken(did, "the state "+string(c.Sandbox.State), "running")
	}
	switch ep := c.Sandbox.Endpoint; {
	case spec.Port == 0 && ep != nil:
		e.broken("created a sandbox without a port", sandboxText(c.Sandbox), "no endpoint")
	case spec.Port != 0 && (ep == nil || ep.IP == "" || ep.Port <= 0 || ep.Port > math.MaxUint16):
		e.broken(fmt.Sprintf("created a sandbox with port %d", spec.Port), sandboxText(c.Sandbox), "an endpoint with an address and a port")
	}
	if c.Sandbox.CreatedAt.IsZero() || c.Sandbox.CreatedAt.Sub(begun).Abs() > time.Hour {
		e.broken(did, fmt.Sprintf("created at %v, by this clock at %v", c.Sandbox.CreatedAt, begun), "the backend's creation time")
	}
}

// asked checks that a sandbox is the one that spec asks for.
func (e *env) asked(did string, s provider.Sandbox, spec provider.Spec) bool {
	e.Helper()
	good := true
	fail := func(got, right string) { e.Helper(); e.broken(did, got, right); good = false }
	switch {
	case s == provider.Sandbox{}:
		fail("an empty sandbox", "the sandbox, or an error")
		return false
	case s.ID == "":
		fail("a sandbox without an id: "+sandboxText(s), "an id that names this incarnation")
	}
	for _, f := range []struct{ name, got, want string }{
		{"Name", s.Name, spec.Name}, {"Owner", s.Owner, spec.Owner}, {"SessionID", s.SessionID, spec.SessionID}, {"ChatID", s.ChatID, spec.ChatID},
		{"AgentID", s.AgentID, spec.AgentID}, {"Template", s.Template, spec.Template}, {"RequestHash", s.RequestHash, spec.RequestHash},
		{"VolumeHostPath", s.VolumeHostPath, spec.VolumeHostPath},
	} {
		if f.got != f.want {
			fail(fmt.Sprintf("%s %q, in %s", f.name, short(f.got), sandboxText(s)), fmt.Sprintf("%q, as it was asked for", short(f.want)))
		}
	}
	if !s.ExpiresAt.Equal(spec.ExpiresAt) {
		fail("ExpiresAt "+s.ExpiresAt.Format(time.RFC3339Nano), spec.ExpiresAt.Format(time.RFC3339Nano)+": as it was asked for, to the microsecond")
	}
	return good
}

func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}

func checkIdempotent(e *env) {
	h := e.host()
	spec := e.spec()
	first := h.made(spec)
	for range 2 {
		again, err := h.create(e.Context(), spec)
		e.ok(err, "created the same again while it runs", "the sandbox that is there")
		if again.Sandbox.ID != first.Sandbox.ID {
			e.broken("created the same again while it runs", fmt.Sprintf("the sandbox %q, where the first answer was %q", again.Sandbox.ID, first.Sandbox.ID), "the same sandbox")
		}
		if again.Outcome != provider.OutcomeAdopted {
			e.broken("created the same again while it runs", fmt.Sprintf("the outcome %q", again.Outcome), `"adopted"`)
		}
		e.asked("created the same again while it runs", again.Sandbox, spec)
	}
	e.one(h, spec, "created the same three times")
}

// one checks that there is exactly one sandbox of a session.
func (e *env) one(h *handle, spec provider.Spec, did string) {
	e.Helper()
	all, _ := h.sandboxes()
	if found := mine(all, spec); len(found) != 1 {
		e.broken(did+", and listed", "sandboxes of this session: "+idsText(found), "one")
	}
}

func checkSixteen(e *env) {
	const callers = 16
	h := e.host()
	spec := e.spec()
	var answers [callers]provider.Created
	var errs [callers]error
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() { answers[i], errs[i] = h.create(e.Context(), spec) })
	}
	work.Wait()
	ids, outcomes := map[string]int{}, map[provider.Outcome]int{}
	for i, c := range answers {
		if errs[i] != nil {
			e.broken("created the same sandbox 16 times at once", errorText(errs[i]), "each caller gets the one sandbox")
			continue
		}
		ids[c.Sandbox.ID]++
		outcomes[c.Outcome]++
	}
	if len(ids) != 1 || outcomes[provider.OutcomeCreated] != 1 {
		e.broken("created the same sandbox 16 times at once", fmt.Sprintf("ids %v, outcomes %v", ids, outcomes), `one id for all, once "created", 15 times "adopted"`)
	}
	e.one(h, spec, "created the same sandbox 16 times at once")
}

func checkRemake(e *env) {
	h := e.host()
	spec := e.spec()
	first := h.made(spec).Sandbox.ID
	h.stopped(spec, first)
	const did = "stopped a sandbox, and created the same again"
	again, err := h.create(e.Context(), spec)
	e.ok(err, did, "a new sandbox in the place of the one that has ended")
	if again.Outcome != provider.OutcomeCreated || again.Sandbox.ID == first || again.Sandbox.State != provider.StateRunning {
		e.broken(did, fmt.Sprintf("the outcome %q and %s, where the ended one was %q", again.Outcome, sandboxText(again.Sandbox), first), `"created", another id, running`)
	}
	if again.Sandbox.ID != first {
		_, err := h.get(e.Context(), provider.Ref{ID: first})
		e.class(err, provider.NotFound, did+", and asked Get for the one that had ended")
	}
	e.one(h, spec, did)
}

func checkIncarnations(e *env) {
	h := e.host()
	spec := e.spec()
	seen := map[string]bool{}
	var last string
	for range 3 {
		id := h.made(spec).Sandbox.ID
		if seen[id] {
			e.fatal("created, deleted and created the same again", fmt.Sprintf("the id %q a second time", id), "another id: it names one incarnation")
		}
		if last != "" {
			d, err := h.del(e.Context(), provider.DeleteRequest{ID: last, Fence: fenceOf(spec)})
			if err != nil || d.Outcome != provider.OutcomeNotFound {
				e.broken("deleted by the id of the incarnation before", fmt.Sprintf("%q, %s", d.Outcome, errorText(err)), `"not_found"`)
			}
			if s := h.seen(id, "after a Delete of the incarnation before"); s.State != provider.StateRunning {
				e.broken("deleted by the id of the incarnation before", sandboxText(s), "the present one runs on")
			}
		}
		seen[id], last = true, id
		h.deleted(spec, id)
	}
}

func checkFailedCreate(e *env) {
	h := e.host()
	spec := e.spec(e.opts.Fails)
	for range 3 {
		c, err := h.create(e.Context(), spec)
		if err == nil {
			e.fatal("created a sandbox of the Spec that fails, as Options.Fails says", sandboxText(c.Sandbox), "an error")
		}
		all, _ := h.sandboxes()
		if found := mine(all, spec); len(found) != 0 {
			e.fatal("created a sandbox of a Spec that fails, and listed", idsText(found)+" after the error "+errorText(err), "nothing is left of it")
		}
	}
}
