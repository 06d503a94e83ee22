package suite

import (
	"context"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var drainChecks = []check{
	{name: "drain finishes what is in flight",
		promise: "Drain refuses new calls with unavailable, ends the streams, and returns when the calls in flight are done", run: checkDrain},
}

func checkDrain(e *env) {
	h := e.fresh()
	probe := e.spec()
	begun := time.Now()
	h.made(probe)
	long := time.Since(begun)

	spec := e.spec()
	ended, stopEvents := h.watch()
	defer stopEvents()
	type answer struct {
		c   provider.Created
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		c, err := h.create(e.Context(), spec)
		answered <- answer{c, err}
	}()
	early := time.NewTimer(long / 3)
	defer early.Stop()
	<-early.C

	const did = "drained while a Create was in flight"
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	if err := h.g.plugin.Drain(ctx); err != nil {
		e.fatal(did, errorText(err), "nil, when the Create is done")
	}
	var a answer
	select {
	case a = <-answered:
	case <-time.After(e.opts.Soon):
		e.fatal(did, "Drain returned while the Create was still under way", "Drain returns when the calls in flight are done")
	}
	all, _ := e.host().sandboxes()
	found := mine(all, spec)
	switch {
	case a.err == nil && (len(found) != 1 || found[0].ID != a.c.Sandbox.ID):
		e.broken(did+", which succeeded; asked another generation", idsText(found), "the sandbox that was acknowledged")
	case a.err != nil && provider.ClassOf(a.err) != provider.Unavailable:
		e.broken(did, "the Create failed: "+errorText(a.err), "it is finished; or refused with unavailable, if it came too late")
	case a.err != nil && len(found) != 0:
		e.broken(did+", which was refused; asked another generation", idsText(found), "none")
	}
	if ended != nil {
		select {
		case <-ended:
		case <-time.After(e.opts.Soon):
			e.broken("drained while Events were read", "the stream went on", "it ends")
		}
	}
	verbs := h.verbs(e.Context(), probe, "none")
	for _, name := range verbNames {
		e.class(verbs[name](), provider.Unavailable, "asked "+name+" of a plugin that was drained")
	}
	if err := h.g.plugin.Drain(ctx); err != nil {
		e.broken("drained again", errorText(err), "nil: a host drains, and then sends SIGTERM, which drains too")
	}
}
