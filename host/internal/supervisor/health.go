package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// watchman is what the polls of one generation's backend remember.
type watchman struct {
	*generation
	agreed bool      // reconciled since it was last away
	retry  backoff   // of reconciles
	notYet time.Time // the next one
	failed error     // the last one's
	since  time.Time // READY; zero when it is not
}

func newWatchman(g *generation) *watchman {
	return &watchman{generation: g, retry: backoff{first: backoffFirst, most: backoffMax}}
}

// verdict is what one poll found. A nil err is READY.
type verdict struct {
	err      error
	changed  bool   // the backend is another than that of a living session
	identity string // "" when it did not tell
}

// observe polls the backend's health until the generation or the supervisor ends, or a
// successor is there, and moves the provider between READY and DEGRADED.
func (w *watchman) observe(failures *backoff) {
	for w.work.Err() == nil && !w.s.hasNext() {
		v := w.examine()
		if w.work.Err() != nil {
			return // it says nothing about the backend
		}
		w.tell(v)
		pause := healthReady
		if v.err != nil {
			pause = healthDegraded
		} else if time.Since(w.since) >= backoffReset {
			failures.reset()
		}
		w.s.rest(w.work, pause)
	}
}

// tell makes what a poll has found the provider's status.
func (w *watchman) tell(v verdict) {
	state := w.judge(v)
	w.s.change(func(st *lifecycle.BackendStatus) {
		st.State, st.Err, st.Generation = state, v.err, int(w.num.Load())
		if v.identity != "" { // else it is as changed as it was
			st.Changed, st.Identity = v.changed, v.identity
		}
	})
}

// judge is the state that a verdict comes to.
func (w *watchman) judge(v verdict) lifecycle.BackendState {
	if v.err != nil {
		w.since, w.agreed = time.Time{}, false
		return lifecycle.Degraded
	}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	return lifecycle.Ready
}

// takeOver makes a generation the one that calls go to, in the state of a verdict. Both
// change at once: a backend that is another one must never be asked as if it were not,
// neither the new generation's nor the old one's.
func (w *watchman) takeOver(v verdict) {
	state := w.judge(v)
	first := false
	w.s.change(func(st *lifecycle.BackendStatus) {
		first = w.s.gen == nil
		w.s.shown, w.s.gen = w.generation, w.generation
		if w.num.Load() != w.s.generations { // another life began since this one
			w.s.generations++
			w.num.Store(w.s.generations)
		}
		st.State, st.Err, st.Generation = state, v.err, int(w.num.Load())
		if v.identity != "" {
			st.Changed, st.Identity = v.changed, v.identity
		}
	})
	if first {
		w.s.observer.PluginUp(w.s.opts.Name, true)
	}
}

// examine asks how the backend is and who it is, and reconciles when that is due.
func (w *watchman) examine() verdict {
	health, err := w.health()
	switch {
	case err != nil:
		return verdict{err: err}
	case !health.Available:
		return verdict{err: &provider.Error{Class: provider.Unavailable, Op: "health",
			Message: cmp.Or(health.Message, "the backend is not available")}}
	}
	id := health.Identity
	if !w.agreed || id == "" { // one who does not tell may have changed
		if id, err = w.askIdentity(); err != nil {
			return verdict{err: err}
		}
	}
	if err := w.compare(id); err != nil {
		return verdict{err: err, changed: true, identity: id}
	}
	w.know(id)
	if w.agreed {
		return verdict{identity: id}
	}
	if !time.Now().Before(w.notYet) {
		if w.failed = w.reconcile(); w.failed != nil {
			w.notYet = time.Now().Add(w.retry.next())
		}
	}
	if w.failed != nil {
		return verdict{err: w.failed, identity: id}
	}
	w.retry.reset()
	w.agreed = true
	return verdict{identity: id}
}

func (g *generation) health() (h provider.Health, err error) {
	err = g.step("health", healthTimeout, func(ctx context.Context) (err error) {
		h, err = g.prov.Health(ctx)
		return err
	})
	if err == nil {
		g.note(func(r *Report) { r.Health = h })
	}
	return h, err
}

func (g *generation) askIdentity() (id string, err error) {
	err = g.step("identity", healthTimeout, func(ctx context.Context) (err error) {
		id, err = g.prov.Identity(ctx)
		return err
	})
	if err == nil && id == "" {
		err = &provider.Error{Class: provider.Internal, Op: "identity",
			Message: "the plugin says that the backend is available and can't say which one it is"}
	}
	return id, err
}

// compare is an error when the backend is another than that of a living session, unless
// the operator has accepted it.
func (g *generation) compare(id string) error {
	others := g.others(id)
	if len(others) == 0 {
		return nil
	}
	accepted := g.s.accepted()
	if accepted == id {
		ctx, cancel := context.WithTimeout(g.work, acceptTimeout)
		defer cancel()
		if err := g.s.engine.AcceptBackend(ctx, g.s.opts.Name, id); err != nil {
			return fmt.Errorf("accept_backend: %w", err)
		}
		if others = g.others(id); len(others) == 0 {
			return nil
		}
	}
	for i := range others {
		others[i] = strconv.Quote(others[i])
	}
	remedy := fmt.Sprintf("bring that backend back, or write accept_backend = %q into the provider's block, which ends those sessions as lost", id)
	if accepted != "" && accepted != id {
		remedy += fmt.Sprintf(" (it is %q now)", accepted)
	}
	return &provider.Error{Class: provider.Unavailable, Op: "identity",
		Message: fmt.Sprintf("backend changed: it is now %q, and living sessions are on %s: %s", id, strings.Join(others, ", "), remedy)}
}

// others are the backends of living sessions that are not id, in order.
func (g *generation) others(id string) []string {
	var others []string
	for _, known := range g.s.engine.Identities(g.s.opts.Name) {
		if known != "" && known != id && !slices.Contains(others, known) {
			others = append(others, known)
		}
	}
	slices.Sort(others)
	return others
}

// accepted is what the operator has written as accept_backend.
func (s *Supervisor) accepted() string {
	if s.opts.AcceptBackend == nil {
		return ""
	}
	return s.opts.AcceptBackend()
}

// know opens the generation for calls.
func (g *generation) know(id string) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.identity != id {
		g.identity = id
		g.s.wake()
	}
}

// reconcile lets the engine compare this generation's list with what it knows. An event
// stream is open before, so that nothing falls between the two.
func (w *watchman) reconcile() error {
	w.s.reconciling(w.generation)
	w.events.awaitFirst(w.work)
	ctx, cancel := context.WithTimeout(w.work, reconcileTimeout)
	defer cancel()
	err := w.s.engine.Reconcile(ctx, w.s.opts.Name, pinned{w.generation})
	if err != nil && w.work.Err() == nil { // else it ended under it
		w.s.log.Warn("the plugin's sandboxes can't be reconciled yet", "generation", w.num.Load(), "err", err)
	}
	return err
}
