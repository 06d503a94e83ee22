package suite

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

var killChecks = []check{
	{name: "kill -9 in mid-create leaves none or one", on: only(binary),
		promise: "a plugin that is killed while it creates leaves no sandbox or one, and nothing beside it; the next generation's Create makes or adopts it", run: checkKillCreate},
	{name: "kill -9 in mid-delete leaves none or one", on: only(binary),
		promise: "a plugin that is killed while it deletes leaves no sandbox or one, and nothing beside it; the next generation's Delete ends it", run: checkKillDelete},
}

// moment is a random time from the beginning of a call that takes about so long to a
// little after its end.
func moment(long time.Duration) time.Duration {
	return time.Duration(rand.Float64() * 1.2 * float64(long))
}

// killed kills the plugin of h after so long, and waits for its end.
func (e *env) killed(h *handle, after time.Duration) {
	e.Helper()
	timer := time.NewTimer(after)
	defer timer.Stop()
	<-timer.C
	h.g.process.Kill()
	select {
	case <-h.g.process.Done():
	case <-time.After(e.opts.Timeout):
		e.fatal("sent SIGKILL to the plugin", "its process still lives after "+took(e.opts.Timeout), "it is gone")
	}
}

func checkKillCreate(e *env) {
	spec := e.spec()
	h := e.host()
	begun := time.Now()
	id := h.made(spec).Sandbox.ID
	long := time.Since(begun)
	h.deleted(spec, id)
	found, cut := 0, 0
	for range e.opts.Kills {
		if e.Failed() {
			break
		}
		spec := e.spec()
		h := e.fresh()
		after := moment(long)
		did := fmt.Sprintf("killed the plugin %s after it was asked to Create, and started a new one", after)
		answered := make(chan error, 1)
		go func() { _, err := h.g.plugin.Provider().Create(e.Context(), spec); answered <- err }()
		e.killed(h, after)
		err := <-answered
		if err != nil {
			cut++
		}
		n := e.noneOrOne(spec, did)
		if found += n; err == nil && n != 1 {
			e.broken(did+"; the Create had been acknowledged", fmt.Sprintf("%d sandboxes", n), "one")
		}
		next := e.fresh()
		e.converges(next, spec, did)
		e.closed(next.g)
		e.nothingBeside(did)
	}
	e.Logf("%d kills in a Create of about %s: %d calls were cut, %d sandboxes were found after them", e.opts.Kills, took(long), cut, found)
}

// noneOrOne counts the sandboxes of a session after a kill.
func (e *env) noneOrOne(spec provider.Spec, did string) int {
	e.Helper()
	h := e.host()
	all, summary := h.sandboxes()
	found := mine(all, spec)
	if len(found) > 1 {
		e.broken(did+"; listed", idsText(found), "none or one of this session")
	}
	for _, s := range owned(all, e.owner) {
		if s.SessionID != spec.SessionID && s.Name != spec.Name {
			e.broken(did+"; listed", "one of another session: "+sandboxText(s), "nothing beside it")
		}
	}
	for _, u := range summary.Unreadable {
		if u.Owner == e.owner {
			e.broken(did+"; listed", fmt.Sprintf("one that can't be read: %+v", u), "a sandbox that is there is whole")
		}
	}
	return len(found)
}

// nothingBeside checks that nothing of this run is at the backend when no sandbox is.
func (e *env) nothingBeside(did string) {
	e.Helper()
	if e.opts.Residue == nil {
		return
	}
	var left []string
	var err error
	if !e.eventually(func() bool { left, err = e.opts.Residue(e.Context(), e.owner); return err == nil && len(left) == 0 }) {
		if err != nil {
			e.Fatalf("Options.Residue: %v", err)
		}
		e.broken(did+"; deleted the sandbox, and looked past the provider", fmt.Sprintf("%q", left), "nothing is left")
	}
}

func checkKillDelete(e *env) {
	spec := e.spec()
	h := e.host()
	id := h.made(spec).Sandbox.ID
	begun := time.Now()
	h.deleted(spec, id)
	long := time.Since(begun)
	found, cut := 0, 0
	for range e.opts.Kills {
		if e.Failed() {
			break
		}
		spec := e.spec()
		h := e.fresh()
		id := h.made(spec).Sandbox.ID
		after := moment(long)
		did := fmt.Sprintf("killed the plugin %s after it was asked to Delete, and started a new one", after)
		answered := make(chan error, 1)
		go func() {
			_, err := h.g.plugin.Provider().Delete(e.Context(), provider.DeleteRequest{ID: id, Fence: fenceOf(spec)})
			answered <- err
		}()
		e.killed(h, after)
		err := <-answered
		if err != nil {
			cut++
		}
		n := e.noneOrOne(spec, did)
		if found += n; err == nil && n != 0 {
			e.broken(did+"; the Delete had been acknowledged", fmt.Sprintf("%d sandboxes", n), "none")
		}
		next := e.fresh()
		next.deleted(spec, id)
		e.gone(next, spec, id, did+", and deleted it again")
		e.closed(next.g)
		e.nothingBeside(did)
	}
	e.Logf("%d kills in a Delete of about %s: %d calls were cut, %d sandboxes were found after them", e.opts.Kills, took(long), cut, found)
}
