package suite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var listChecks = []check{
	{name: "list is complete",
		promise: "List tells every sandbox once, whatever its state, with what Get tells of it", run: checkList},
	{name: "list holds under churn",
		promise: "while others come and go, List tells every sandbox that is there, none twice, and none whose Delete was acknowledged before", run: checkChurn},
	{name: "a list that was cut is an error",
		promise: "a List that did not come to its end is an error, never a shorter list", run: checkCutList},
	{name: "list ends with its reader",
		promise: "List returns the error of the one who reads it, and yields nothing more", run: checkListReader},
}

func checkList(e *env) {
	h := e.host()
	running, stopped, deleted := e.spec(), e.spec(), e.spec()
	e.Logf("three sandboxes: one runs, one was stopped, one was deleted")
	ids := map[string]provider.Spec{}
	for i, spec := range []provider.Spec{running, stopped, deleted} {
		id := h.made(spec).Sandbox.ID
		switch i {
		case 1:
			h.stopped(spec, id)
		case 2:
			h.deleted(spec, id)
			continue
		}
		ids[id] = spec
	}
	all, summary := h.sandboxes()
	const did = "listed with one sandbox that runs, one that was stopped and one that was deleted"
	count := map[string]int{}
	for _, s := range owned(all, e.owner) {
		count[s.ID]++
		spec, ours := ids[s.ID]
		if !ours {
			e.broken(did, "a sandbox of this owner that was never asked for, or is gone: "+sandboxText(s), "those that were made")
			continue
		}
		e.asked(did, s, spec)
		got := h.seen(s.ID, "as the list says")
		if s.Exit != nil {
			e.broken(did, sandboxText(s), "no exit: only Get inspects")
		}
		if s.CreatedAt.IsZero() || s.CreatedAt.Sub(got.CreatedAt).Abs() > time.Second {
			e.broken("compared what List and Get tell", fmt.Sprintf("created at %v and %v", s.CreatedAt, got.CreatedAt), "the same, to the second")
		}
		got.Exit, got.CreatedAt = nil, s.CreatedAt
		if a, b := asJSON(s), asJSON(got); a != b {
			e.broken("compared what List and Get tell", a+"\nand\n"+b, "the same, but for the exit")
		}
	}
	for id, spec := range ids {
		if count[id] != 1 {
			e.broken(did, fmt.Sprintf("the sandbox %q of session %s %d times", id, spec.SessionID, count[id]), "once")
		}
	}
	if summary.Total < len(all)+len(summary.Unreadable) {
		e.broken(did, fmt.Sprintf("a total of %d, with %d sandboxes and %d that can't be read", summary.Total, len(all), len(summary.Unreadable)), "all that the backend returned")
	}
	for _, u := range summary.Unreadable {
		if u.Owner == e.owner {
			e.broken(did, fmt.Sprintf("a sandbox of this owner that can't be read: %+v", u), "what a provider has written it can read")
		}
	}
}

// listEvery spares a backend that others use too.
const listEvery = 2 * time.Millisecond

func checkChurn(e *env) {
	const workers, rounds = 2, 3
	h := e.host()
	var stay []provider.Spec
	for range 2 {
		spec := e.spec()
		h.made(spec)
		stay = append(stay, spec)
	}
	var mu sync.Mutex
	gone := map[string]bool{} // ids whose Delete was acknowledged
	over := make(chan struct{})
	var work sync.WaitGroup
	for range workers {
		specs := make([]provider.Spec, rounds)
		for i := range specs {
			specs[i] = e.spec()
		}
		work.Go(func() {
			for _, spec := range specs {
				c, err := h.create(e.Context(), spec)
				if err != nil {
					e.broken("created sandboxes while others are listed", errorText(err), "each is made")
					return
				}
				if _, err := h.del(e.Context(), provider.DeleteRequest{ID: c.Sandbox.ID, Fence: fenceOf(spec)}); err != nil {
					e.broken("deleted sandboxes while others are listed", errorText(err), "each is removed")
					return
				}
				mu.Lock()
				gone[c.Sandbox.ID] = true
				mu.Unlock()
			}
		})
	}
	go func() { work.Wait(); close(over) }()
	lists := 0
	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	for last := false; !last; lists++ {
		select {
		case <-over:
			last = true
		case <-tick.C:
		}
		mu.Lock()
		before := make(map[string]bool, len(gone))
		for id := range gone {
			before[id] = true
		}
		mu.Unlock()
		all, _, err := h.list(e.Context())
		if err != nil {
			e.broken("listed while sandboxes come and go", errorText(err), "a complete list")
			break
		}
		if !e.holds(all, stay, before) {
			break
		}
	}
	<-over
	e.Logf("%d lists while %d sandboxes came and went", lists, workers*rounds)
}

// holds checks one list that was made while sandboxes come and go.
func (e *env) holds(all []provider.Sandbox, stay []provider.Spec, gone map[string]bool) bool {
	const did = "listed while sandboxes come and go"
	seen := map[string]int{}
	for _, s := range owned(all, e.owner) {
		seen[s.ID]++
		if seen[s.ID] > 1 {
			e.broken(did, "twice in one list: "+sandboxText(s), "once")
			return false
		}
		if gone[s.ID] {
			e.broken(did, "one whose Delete was acknowledged before the list was asked for: "+sandboxText(s), "it is not listed")
			return false
		}
	}
	for _, spec := range stay {
		if len(mine(all, spec)) != 1 {
			e.broken(did, fmt.Sprintf("%d sandboxes of a session whose sandbox was there all the time", len(mine(all, spec))), "one")
			return false
		}
	}
	return true
}

func checkCutList(e *env) {
	h := e.host()
	for range 3 {
		h.made(e.spec())
	}
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	n := 0
	_, err := ask(h, ctx, "asked for a List, and left after the first sandbox", func(ctx context.Context) (provider.ListSummary, error) {
		return h.provider().List(ctx, func(s provider.Sandbox) error {
			if s.Owner == e.owner {
				n++
				cancel()
			}
			return nil
		})
	})
	if err == nil && n < 3 {
		e.broken("asked for a List, and left after the first of three sandboxes", fmt.Sprintf("%d sandboxes, and no error", n),
			"an error of the class canceled, or all three")
	} else if err != nil {
		e.class(err, provider.Canceled, "asked for a List, and left after the first of three sandboxes")
	}

	done, end := context.WithCancel(e.Context())
	end()
	all, _, err := h.list(done)
	if err == nil && len(owned(all, e.owner)) < 3 {
		e.broken("asked for a List with a context that is done", fmt.Sprintf("%d of three sandboxes, and no error", len(owned(all, e.owner))), "an error of the class canceled")
	}
}

var errReader = errors.New("the reader of the list has enough")

func checkListReader(e *env) {
	h := e.host()
	for range 2 {
		h.made(e.spec())
	}
	n := 0
	_, err := ask(h, e.Context(), "asked for a List whose reader fails", func(ctx context.Context) (provider.ListSummary, error) {
		return h.provider().List(ctx, func(provider.Sandbox) error { n++; return errReader })
	})
	if !errors.Is(err, errReader) {
		e.broken("asked for a List, whose reader returned an error for the first sandbox", errorText(err), "that error")
	}
	if n != 1 {
		e.broken("asked for a List, whose reader returned an error for the first sandbox", fmt.Sprintf("%d calls of the reader", n), "one: nothing is yielded after an error")
	}
}
