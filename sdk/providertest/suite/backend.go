package suite

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// healthBound is how long Health may take, also while the backend is away.
const healthBound = 5 * time.Second

var backendChecks = []check{
	{name: "identity is one",
		promise: "Identity is the backend's own: never empty, the same in every call, in Health and in the answer to Create", run: checkIdentity},
	{name: "health tells of the backend",
		promise: "Health answers within seconds how the backend is, and what it can't enforce", run: checkHealth},
	{name: "away is unavailable, not absent",
		promise: "while the backend can't be asked every verb fails with unavailable; nothing is taken for absent, and all is there when it is back", run: checkAway,
		needs: func(o Options, _ []provider.Capability) string {
			if o.Away == nil {
				return "Options.Away is nil: nobody makes the backend go away"
			}
			return ""
		}},
}

// same checks an identity against the first that was told in this run.
func (e *env) same(identity, did string) {
	e.Helper()
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	switch {
	case identity == "":
		e.broken(did, "an empty identity", "an id that no other backend has")
	case e.identity == "":
		e.identity = identity
	case e.identity != identity:
		e.broken(did, fmt.Sprintf("the identity %q, where it was %q", identity, e.identity), "the same: it is one backend all the time")
	}
}

func checkIdentity(e *env) {
	h := e.host()
	for range 3 {
		id, err := h.identity(e.Context())
		e.ok(err, "asked Identity", "the backend's id")
		e.same(id, "asked Identity")
	}
	health, err := h.health(e.Context())
	e.ok(err, "asked Health", "that it is available")
	e.same(health.Identity, "asked Health for the identity")
	spec := e.spec()
	for _, did := range []string{"created a sandbox, and looked at the identity in the answer", "created the same again, and looked at the identity in the answer"} {
		e.same(h.made(spec).Identity, did)
	}
}

var limitationName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func checkHealth(e *env) {
	h := e.host()
	begun := time.Now()
	health, err := h.health(e.Context())
	e.ok(err, "asked Health", "that it is available")
	if d := time.Since(begun); d > healthBound {
		e.broken("asked Health", "an answer after "+took(d), "an answer within a second or two")
	}
	if !health.Available {
		e.broken("asked Health of a backend that works", fmt.Sprintf("%+v", health), "that it is available")
	}
	for _, l := range health.Limitations {
		if !limitationName.MatchString(l.Name) || l.Reason == "" {
			e.broken("asked Health for the limitations", fmt.Sprintf("%+v", l), "a name in snake case, and a reason for people")
		}
	}
}

func checkAway(e *env) {
	h := e.host()
	spec, other := e.spec(), e.spec()
	id := h.made(spec).Sandbox.ID
	identity, err := h.identity(e.Context())
	e.ok(err, "asked Identity", "the backend's id")
	ended, stopEvents := h.watch()
	defer stopEvents()

	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	back, err := e.opts.Away(ctx)
	if err != nil {
		e.Fatalf("Options.Away: %v", err)
	}
	returned := false
	comeBack := func() {
		if !returned {
			returned = true
			back()
		}
	}
	defer comeBack()

	verbs := h.verbs(e.Context(), spec, id)
	verbs["create"] = func() error { _, err := h.create(e.Context(), other); return err }
	for _, name := range []string{"create", "get", "list", "stop", "delete", "identity"} {
		e.class(verbs[name](), provider.Unavailable, "asked "+name+" while the backend is away")
	}
	all, _, _ := h.list(e.Context())
	if len(all) != 0 {
		e.broken("listed while the backend is away", idsText(all), "nothing but the error")
	}
	if err := verbs["prepare"](); err != nil {
		e.class(err, provider.Unavailable, "asked prepare while the backend is away")
	}
	begun := time.Now()
	health, err := h.health(e.Context())
	switch d := time.Since(begun); {
	case err != nil && provider.ClassOf(err) != provider.Unavailable:
		e.broken("asked Health while the backend is away", errorText(err), "available = false, or an error of the class unavailable")
	case err == nil && (health.Available || health.Identity != "" || health.Message == ""):
		e.broken("asked Health while the backend is away", fmt.Sprintf("%+v", health), "available = false, a message for people, and no identity")
	case d > healthBound:
		e.broken("asked Health while the backend is away", "an answer after "+took(d), "an answer within a second or two")
	}
	if ended != nil {
		select {
		case err := <-ended:
			e.class(err, provider.Unavailable, "read Events while the backend went away")
		case <-time.After(e.opts.Timeout):
			e.broken("read Events while the backend went away", "the stream went on", "it breaks, with an error of the class unavailable")
		}
	}
	e.startsAway()
	comeBack()
	e.returns(h, spec, id, identity)
}

// startsAway starts a generation while the backend is away.
func (e *env) startsAway() {
	e.Helper()
	g := e.raw()
	const right = "success: a plugin starts, and is configured, also while its backend is away"
	if _, err := g.plugin.Schemas(e.Context()); err != nil {
		e.broken("asked Schemas while the backend is away", errorText(err), right)
	}
	if _, err := g.plugin.Validate(e.Context(), provider.ValidateRequest{Config: e.opts.Config}); err != nil {
		e.broken("asked Validate while the backend is away", errorText(err), right)
	}
	if _, err := g.plugin.Configure(e.Context(), provider.ConfigureRequest{Config: e.opts.Config, Owner: e.owner}); err != nil {
		e.broken("configured while the backend is away", errorText(err), right)
		return
	}
	h := &handle{e: e, g: g}
	_, _, err := h.list(e.Context())
	e.class(err, provider.Unavailable, "listed with a generation that was started while the backend is away")
	e.closed(g)
}

// returns checks that all is as it was before the backend went away.
func (e *env) returns(h *handle, spec provider.Spec, id, identity string) {
	e.Helper()
	var s provider.Sandbox
	var err error
	if !e.eventually(func() bool { s, err = h.get(e.Context(), provider.Ref{ID: id}); return err == nil }) {
		e.fatal("asked Get when the backend was back", errorText(err), "the sandbox, which was there all the time")
	}
	if s.State != provider.StateRunning {
		e.broken("asked Get when the backend was back", sandboxText(s), "it runs: what was asked while the backend was away has changed nothing")
	}
	now, err := h.identity(e.Context())
	if err != nil || now != identity {
		e.broken("asked Identity when the backend was back", fmt.Sprintf("%q, %s", now, errorText(err)), fmt.Sprintf("%q, as before", identity))
	}
	e.one(h, spec, "waited for the backend to be back")
}
