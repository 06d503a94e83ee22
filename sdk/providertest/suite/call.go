package suite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// handle calls the verbs of one generation, each with a bound, and looks at what no
// provider may do. It may be used by several goroutines.
type handle struct {
	e *env
	g *generation
}

// errBroken is what a call returns that has broken a promise of all verbs, which was told.
var errBroken = errors.New("see the broken promise above")

// panicText is how the SDK tells of a panic.
const panicText = "the provider panicked"

// ask makes one call. It returns soon after the bound, whatever the provider does.
func ask[A any](h *handle, ctx context.Context, what string, call func(context.Context) (A, error)) (A, error) {
	type result struct {
		answer A
		err    error
		panic  string
	}
	e := h.e
	begun := time.Now()
	bounded, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if v := recover(); v != nil {
				r.panic = fmt.Sprintf("%v\n%s", v, firstLines(debug.Stack(), 30))
			}
			done <- r
		}()
		r.answer, r.err = call(bounded)
	}()
	var r result
	select {
	case r = <-done:
	case <-bounded.Done():
		late := time.NewTimer(e.opts.Soon)
		defer late.Stop()
		select {
		case r = <-done:
		case <-late.C:
			e.other(promiseAnswers, what, fmt.Sprintf("it had not returned %s after its context was done (%v)", e.opts.Soon, bounded.Err()),
				"it gives up, undoes what it has half made, and returns an error of the class canceled")
			return r.answer, errBroken
		}
	}
	switch {
	case r.panic != "":
		e.other(promisePanic, what, "a panic: "+r.panic, "an error; the class internal if there is no better one")
		return r.answer, errBroken
	case r.err != nil && strings.Contains(r.err.Error(), panicText):
		e.other(promisePanic, what, errorText(r.err), "an error of its own; the class internal if there is no better one")
		return r.answer, errBroken
	case r.err != nil && !hasLeft(ctx) && (bounded.Err() != nil || errors.Is(r.err, provider.Canceled)):
		e.other(promiseAnswers, what, fmt.Sprintf("no answer, after %s of %s: %s", took(time.Since(begun)), e.opts.Timeout, errorText(r.err)),
			"an answer, or an error that says why there is none")
		return r.answer, errBroken
	}
	if errors.Is(r.err, provider.Unavailable) && h.died() {
		e.other(promiseLives, what, h.g.process.Err().Error(), "it answers, and serves on")
		return r.answer, errBroken
	}
	return r.answer, r.err
}

// hasLeft reports whether the caller's context is done, or is past its deadline: over a
// connection the plugin has a timer of its own, which may fire before the one here.
func hasLeft(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// exitNotice is how long the exit of a process may take to be heard of after its
// connection broke.
const exitNotice = 250 * time.Millisecond

// died reports, once, that the process has ended by itself.
func (h *handle) died() bool {
	if h.g.process == nil {
		return false
	}
	notice := time.NewTimer(exitNotice)
	defer notice.Stop()
	select {
	case <-h.g.process.Done():
		return h.g.told.CompareAndSwap(false, true)
	case <-notice.C:
		return false
	}
}

func firstLines(text []byte, n int) string {
	lines := strings.SplitAfterN(string(text), "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

func (h *handle) provider() provider.Provider { return h.g.plugin.Provider() }

func (h *handle) prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return ask(h, ctx, "asked Prepare for the image "+req.Image, func(ctx context.Context) (provider.Prepared, error) {
		return h.provider().Prepare(ctx, req)
	})
}

func (h *handle) create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	return ask(h, ctx, "asked Create for the session "+spec.SessionID, func(ctx context.Context) (provider.Created, error) {
		return h.provider().Create(ctx, spec)
	})
}

func (h *handle) get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return ask(h, ctx, "asked Get for "+ref.ID+ref.Name, func(ctx context.Context) (provider.Sandbox, error) {
		return h.provider().Get(ctx, ref)
	})
}

// listed is the answer to List.
type listed struct {
	all     []provider.Sandbox
	summary provider.ListSummary
}

// list also returns what was listed before an error.
func (h *handle) list(ctx context.Context) ([]provider.Sandbox, provider.ListSummary, error) {
	l, err := ask(h, ctx, "asked for a List", func(ctx context.Context) (listed, error) {
		var l listed
		var err error
		l.summary, err = h.provider().List(ctx, func(s provider.Sandbox) error {
			l.all = append(l.all, s)
			return nil
		})
		return l, err
	})
	return l.all, l.summary, err
}

func (h *handle) stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return ask(h, ctx, "asked Stop for "+req.ID, func(ctx context.Context) (provider.Stopped, error) {
		return h.provider().Stop(ctx, req)
	})
}

func (h *handle) del(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return ask(h, ctx, "asked Delete for "+req.ID, func(ctx context.Context) (provider.Deleted, error) {
		return h.provider().Delete(ctx, req)
	})
}

func (h *handle) health(ctx context.Context) (provider.Health, error) {
	return ask(h, ctx, "asked for Health", func(ctx context.Context) (provider.Health, error) { return h.provider().Health(ctx) })
}

func (h *handle) identity(ctx context.Context) (string, error) {
	return ask(h, ctx, "asked for Identity", func(ctx context.Context) (string, error) { return h.provider().Identity(ctx) })
}

// made creates a sandbox that must come to be.
func (h *handle) made(spec provider.Spec) provider.Created {
	h.e.Helper()
	c, err := h.create(h.e.Context(), spec)
	if err != nil {
		h.e.fatal("created a sandbox of a Spec that can be carried out", errorText(err), "a running sandbox")
	}
	return c
}

// seen observes a sandbox that must be there.
func (h *handle) seen(id, when string) provider.Sandbox {
	h.e.Helper()
	s, err := h.get(h.e.Context(), provider.Ref{ID: id})
	if err != nil {
		h.e.fatal("asked Get for a sandbox that is there, "+when, errorText(err), "the sandbox")
	}
	return s
}

// sandboxes lists, which must succeed.
func (h *handle) sandboxes() ([]provider.Sandbox, provider.ListSummary) {
	h.e.Helper()
	all, summary, err := h.list(h.e.Context())
	if err != nil {
		h.e.fatal("asked for a List while the backend answers", errorText(err), "a complete list")
	}
	return all, summary
}
