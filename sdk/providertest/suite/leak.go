package suite

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// inProcess is the most generations that are opened in a row in this process.
const inProcess = 50

var leakChecks = []check{
	{name: "generations leave nothing",
		promise: "a generation that was drained leaves neither goroutines nor open descriptors", run: checkGenerationLeaks},
	{name: "calls leave nothing",
		promise: "calls leave neither goroutines nor open descriptors, also those whose caller has left", run: checkCallLeaks},
}

// usage is what a process uses. A number that can't be had is 0.
type usage struct{ goroutines, descriptors int }

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors", u.goroutines, u.descriptors)
}

// ownUsage is that of this process.
func ownUsage() usage { return usage{runtime.NumGoroutine(), descriptors("/dev/fd")} }

func descriptors(dir string) int {
	open, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return len(open)
}

// flat reports whether the usage has not grown with the number of rounds. A few more are
// no leak: connections that are kept, threads of the runtime.
func flat(before, now usage, rounds int) bool {
	slack := max(3, rounds/10)
	return now.goroutines <= before.goroutines+slack && now.descriptors <= before.descriptors+slack
}

func checkGenerationLeaks(e *env) {
	rounds := e.opts.Generations
	if e.s.kind != binary {
		rounds = min(rounds, inProcess)
	}
	life := func() {
		h := e.brief()
		h.use(e.Context())
		ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
		defer cancel()
		if err := h.g.close(ctx); err != nil {
			e.fatal("started a generation, asked it a few things, and drained it", errorText(err), "it ends")
		}
	}
	life() // what is made once is made now
	life()
	before := ownUsage()
	begun := time.Now()
	for range rounds {
		life()
	}
	each := time.Since(begun) / time.Duration(rounds)
	var now usage
	if !e.eventually(func() bool { now = ownUsage(); return flat(before, now, rounds) }) {
		e.broken(fmt.Sprintf("started and drained %d generations", rounds), fmt.Sprintf("%v, where there were %v", now, before), "as many as before")
	}
	e.Logf("%d generations, %s each: %v before, %v after", rounds, took(each), before, now)
}

// brief is a generation of the check's own, ready for use, that is not closed for it.
func (e *env) brief() *handle {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.opts.Timeout)
	defer cancel()
	g, _, err := e.s.configured(ctx, e.opts.Config, e.owner)
	if err != nil {
		e.fatal("started a new generation", err.Error(), "it is ready for use")
	}
	return &handle{e: e, g: g}
}

// use asks what changes nothing, and leaves an event stream in the middle.
func (h *handle) use(ctx context.Context) {
	_, _ = h.health(ctx)
	_, _ = h.get(ctx, provider.Ref{ID: uuid.NewString()})
	_, _, _ = h.list(ctx)
	_, stop := h.watch()
	stop()
}

func checkCallLeaks(e *env) {
	const rounds = 60
	h := e.fresh()
	count := ownUsage
	if e.s.kind == binary {
		dir := "/proc/" + strconv.Itoa(h.g.process.PID()) + "/fd"
		if descriptors(dir) == 0 {
			e.session.skip(e.check.name, "this system does not show the descriptors of another process")
			e.Skipf("this system does not show the descriptors of another process")
		}
		count = func() usage { return usage{descriptors: descriptors(dir)} }
	}
	gone, leave := context.WithCancel(e.Context())
	leave()
	round := func() {
		h.use(e.Context())
		_, _, _ = h.list(gone)
		_, _ = h.get(gone, provider.Ref{ID: uuid.NewString()})
	}
	round()
	round()
	before := count()
	for range rounds {
		round()
	}
	var now usage
	if !e.eventually(func() bool { now = count(); return flat(before, now, rounds) }) {
		e.broken(fmt.Sprintf("made %d rounds of calls, some of them canceled", rounds), fmt.Sprintf("%v, where there were %v", now, before), "as many as before")
	}
	e.Logf("%d rounds of calls: %v before, %v after", rounds, before, now)
}
