package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// maxChunk is the most that one piece of a log may hold, in bytes.
const maxChunk = 64 << 10

var logChecks = []check{
	{name: "logs follow their sandbox",
		promise: "Logs of a missing sandbox are not_found; a log that is followed ends with its sandbox, its reader or its caller", run: checkLogs, needs: claimed(provider.CapabilityLogs)},
	{name: "logs tell what was printed",
		promise: "Logs tells all lines in order, the last ones when it is asked for a tail, and none before the time that is asked for", run: checkPrinted,
		needs: func(o Options, caps []provider.Capability) string {
			if why := claimed(provider.CapabilityLogs)(o, caps); why != "" {
				return why
			}
			if o.Prints == nil {
				return "Options.Prints is nil: nobody says which Spec prints"
			}
			return ""
		}},
}

// claimed says that a check is for those who claim an ability.
func claimed(c provider.Capability) func(Options, []provider.Capability) string {
	return func(_ Options, caps []provider.Capability) string {
		if slices.Contains(caps, c) {
			return ""
		}
		return fmt.Sprintf("the plugin does not claim the ability %q", c)
	}
}

// logs reads a log. It is bounded as every verb is.
func (h *handle) logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	_, err := ask(h, ctx, "asked for the Logs of "+req.ID, func(ctx context.Context) (struct{}, error) {
		r, ok := h.provider().(provider.LogReader)
		if !ok {
			return struct{}{}, errNoAbility
		}
		return struct{}{}, r.Logs(ctx, req, yield)
	})
	return err
}

// lines reads a log, which must succeed, and returns the lines of each stream.
func (h *handle) lines(req provider.LogsRequest) (stdout, stderr []string) {
	h.e.Helper()
	var out, errs strings.Builder
	err := h.logs(h.e.Context(), req, func(c provider.LogChunk) error {
		if len(c.Data) > maxChunk {
			h.e.broken("read a log", fmt.Sprintf("a piece of %d bytes", len(c.Data)), "at most 64 KiB")
		}
		if c.Stderr {
			errs.Write(c.Data)
		} else {
			out.Write(c.Data)
		}
		return nil
	})
	h.e.ok(err, "read the log of a sandbox that is there", "its lines")
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
}

func checkLogs(e *env) {
	h := e.host()
	nothing := func(provider.LogChunk) error { return nil }
	for _, follow := range []bool{false, true} {
		err := h.logs(e.Context(), provider.LogsRequest{ID: missingID(e), Follow: follow}, nothing)
		e.class(err, provider.NotFound, fmt.Sprintf("asked for the Logs of a missing sandbox, follow = %t", follow))
	}
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	ctx, cancel := context.WithTimeout(e.Context(), 200*time.Millisecond)
	err := h.logs(ctx, provider.LogsRequest{ID: id, Follow: true}, nothing)
	cancel()
	if err == nil {
		e.broken("followed the log of a sandbox that runs, and left after 200ms", "that the log has ended", "an error of the class canceled: it goes on as long as the sandbox")
	} else if err != errBroken {
		e.class(err, provider.Canceled, "followed the log of a sandbox that runs, and left after 200ms")
	}

	ended := make(chan error, 1)
	go func() { ended <- h.logs(e.Context(), provider.LogsRequest{ID: id, Follow: true}, nothing) }()
	h.stopped(spec, id)
	if err := <-ended; err != nil {
		e.broken("followed the log of a sandbox until it was stopped", errorText(err), "nil: a log that is followed ends with its sandbox")
	}
}

func checkPrinted(e *env) {
	const n = 6
	h := e.host()
	spec := e.spec(func(s *provider.Spec) { e.opts.Prints(s, n) })
	id := h.made(spec).Sandbox.ID
	var out, errs []string
	var numbers []string
	e.eventually(func() bool {
		out, errs = h.lines(provider.LogsRequest{ID: id})
		numbers = nil
		for _, l := range slices.Concat(out, errs) {
			if strings.HasPrefix(l, "line ") {
				numbers = append(numbers, l)
			}
		}
		return e.Failed() || len(numbers) >= n
	})
	ordered := func(lines []string) bool {
		return slices.IsSorted(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, "line ") }))
	}
	slices.Sort(numbers)
	if len(numbers) != n || len(slices.Compact(numbers)) != n || !ordered(out) || !ordered(errs) {
		e.fatal(fmt.Sprintf("let a sandbox print %d lines, and read its log", n), fmt.Sprintf("stdout %q, stderr %q", out, errs), "each line once, in order")
	}
	out, errs = h.lines(provider.LogsRequest{ID: id, Tail: 2})
	if got := nonEmpty(out, errs); len(got) != 2 {
		e.broken("asked for the last two lines", fmt.Sprintf("%q", got), "two lines")
	}
	out, errs = h.lines(provider.LogsRequest{ID: id, Since: time.Now().Add(time.Hour)})
	if got := nonEmpty(out, errs); len(got) != 0 {
		e.broken("asked for what was printed since a time that has not come", fmt.Sprintf("%q", got), "nothing")
	}
	calls := 0
	err := h.logs(e.Context(), provider.LogsRequest{ID: id}, func(provider.LogChunk) error { calls++; return errReader })
	if !errors.Is(err, errReader) || calls != 1 {
		e.broken("read a log with a reader that fails at once", fmt.Sprintf("%d calls of the reader, and %s", calls, errorText(err)), "one call, and the reader's error")
	}
}

func nonEmpty(lists ...[]string) []string {
	return slices.DeleteFunc(slices.Concat(lists...), func(l string) bool { return l == "" })
}
