package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// env is what one check works with.
type env struct {
	T
	*session
	check check

	mu    sync.Mutex
	specs []provider.Spec // what the check may have made
}

// begin sees to it that the check's sandboxes go with it.
func (e *env) begin() { e.Cleanup(e.sweep) }

// sweep deletes what the check has made.
func (e *env) sweep() {
	e.mu.Lock()
	specs := e.specs
	e.mu.Unlock()
	if len(specs) == 0 {
		return
	}
	h := e.host()
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.Timeout)
	defer cancel()
	all, _, err := h.list(ctx)
	if err != nil {
		e.Errorf("clean-up: list: %v", err)
		return
	}
	for _, s := range all {
		for _, spec := range specs {
			if s.Name == spec.Name || s.SessionID == spec.SessionID {
				_, err := h.del(ctx, provider.DeleteRequest{ID: s.ID,
					Fence: provider.Fence{Owner: s.Owner, SessionID: s.SessionID, Adopted: s.Owner == ""}})
				if err != nil {
					e.Errorf("clean-up: delete: %v", err)
				}
				break
			}
		}
	}
}

// spec is a Spec that a right provider can carry out, with ids of its own.
func (e *env) spec(changes ...func(*provider.Spec)) provider.Spec {
	e.Helper()
	s := e.opts.NewSpec(e.owner)
	for _, c := range changes {
		c(&s)
	}
	s.Digest = e.digest(s)
	e.track(s)
	return s
}

// track has what may be made of a Spec deleted at the check's end.
func (e *env) track(s provider.Spec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.specs = append(e.specs, s)
}

// digest prepares the image of a Spec, once.
func (e *env) digest(s provider.Spec) string {
	e.Helper()
	key := s.Image + "\x00" + string(s.Config)
	e.session.mu.Lock()
	d, ok := e.digests[key]
	e.session.mu.Unlock()
	if ok {
		return d
	}
	h := e.host()
	p, err := h.prepare(e.Context(), provider.PrepareRequest{Image: s.Image, Config: s.Config})
	if err != nil {
		e.Fatalf("image %q can't be prepared, so no sandbox can be made (say in Options.Spec which image to use): %v", s.Image, err)
	}
	e.session.mu.Lock()
	e.digests[key] = p.Digest
	e.session.mu.Unlock()
	return p.Digest
}

// host is the side of a host, with the generation that the checks share. Where that has
// ended, it is told, and a new one opened.
func (e *env) host() *handle {
	e.Helper()
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	if g := e.shared; g != nil && g.process != nil && g.process.Err() != nil {
		if g.told.CompareAndSwap(false, true) {
			e.other(promiseLives, "called verbs, and never told the process to end", g.process.Err().Error(), "it serves on")
		}
		e.shared = nil
	}
	if e.shared == nil {
		ctx, cancel := context.WithTimeout(context.Background(), e.opts.Timeout)
		defer cancel()
		g, c, err := e.s.configured(ctx, e.opts.Config, e.owner)
		if err != nil {
			e.Fatalf("the plugin can't be made ready for use (say in Options.Config what it needs): %v", err)
		}
		e.shared, e.caps = g, c.Capabilities
	}
	return &handle{e: e, g: e.shared}
}

// fresh is the side of a host with a generation of the check's own, ready for use. The
// check closes it, or it is closed at the check's end.
func (e *env) fresh() *handle {
	e.Helper()
	g := e.raw()
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	if _, err := g.plugin.Configure(ctx, provider.ConfigureRequest{Config: e.opts.Config, Owner: e.owner}); err != nil {
		e.fatal("configured a new generation", errorText(err), "it is ready for use")
	}
	return &handle{e: e, g: g}
}

// raw is a generation of the check's own that was not configured.
func (e *env) raw() *generation {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	g, err := e.s.open(ctx)
	if err != nil {
		e.fatal("started a new generation", err.Error(), "it starts, and shakes hands if it is a process")
	}
	e.Cleanup(func() { e.closed(g) })
	return g
}

// closed drains and ends a generation. A plugin that does not do so is told.
func (e *env) closed(g *generation) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.Timeout)
	defer cancel()
	first := false
	g.once.Do(func() { first = true; g.err = g.end(ctx) })
	if first && g.err != nil {
		e.other(promiseDrain, "drained the plugin when nothing more was asked of it", errorText(g.err),
			"Drain returns nil when the calls in flight are done, and a process that is told to end then ends with 0")
	}
}

// capabilities are what the plugin claims to be able to do.
func (e *env) capabilities() []provider.Capability {
	e.Helper()
	e.host()
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	return e.caps
}

// eventually waits for a condition, for as long as a verb may take.
func (e *env) eventually(ok func() bool) bool {
	deadline := time.NewTimer(e.opts.Timeout)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return ok()
		case <-e.Context().Done():
			return false
		}
	}
	return true
}

// mine picks the sandboxes of a session out of a list.
func mine(all []provider.Sandbox, spec provider.Spec) []provider.Sandbox {
	var found []provider.Sandbox
	for _, s := range all {
		if s.SessionID == spec.SessionID || s.Name == spec.Name {
			found = append(found, s)
		}
	}
	return found
}

// fenceOf is the fence of the host that made spec.
func fenceOf(spec provider.Spec) provider.Fence {
	return provider.Fence{Owner: spec.Owner, SessionID: spec.SessionID}
}

func took(d time.Duration) string { return fmt.Sprint(d.Round(time.Millisecond)) }
