package host

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/statedir"
)

const (
	reapPatience = 15 * time.Second // for a provider that is not READY
	reapTries    = 3                // of one session; what is left then is left to the next run
	reapStep     = 20 * time.Millisecond
)

// Reaped is what Reap did, or would do.
type Reaped struct {
	Ended   []Session // past their deadline, or asked to end before: gone
	Left    []Unended // the same, and still there
	Adopted []Session // sandboxes without a session that have one now, and its deadline
	Living  int       // sessions that were not touched, the adopted ones included

	Providers    []ProviderStatus // in the order of the configuration
	DamagedStore string           // where a damaged lease store was moved, or its damage in a dry run; "": it was well
	LostStore    bool             // there was none, although a host was here before
}

// Unended is a session that should have ended.
type Unended struct {
	Session
	Reason string // why it has not
}

// Reap stands in for a host that never comes back: it ends what is past its deadline, or
// was asked to end, and nothing else, in the same way as a host does. It takes the lock of
// the state directory, starts the plugins, and returns when all of that is gone, or could
// not be ended in a few tries. Nothing is created, and a sandbox that lives is not touched.
//
// A sandbox of this owner without a lease is treated as after a lost store: its session is
// known from then on, with the deadline that the sandbox bears or recovery_grace from now,
// whichever is later. A later run reaps it then.
//
// With dryRun nothing is changed, and the answer is what would happen now: the sessions are
// as they are, those in Reaped.Ended with the end that they would get.
//
// Errors: a host lives on the state directory (its pid is named); the state directory does
// not say which sandboxes are this host's; the lease store is another owner's or of a newer
// version. What could not be reaped is no error: see Reaped.Left and Providers.
func Reap(ctx context.Context, cfg *config.Config, opts Options, dryRun bool) (Reaped, error) {
	if err := knownOwner(ctx, cfg); err != nil {
		return Reaped{}, fmt.Errorf("host: %w", err)
	}
	if dryRun {
		return foresee(ctx, cfg, opts.withDefaults())
	}
	h, err := newHost(cfg, opts, true)
	if err != nil {
		return Reaped{}, err
	}
	return h.reap(ctx)
}

// knownOwner refuses a state directory that does not tell which sandboxes are this host's: a
// new id would fit none, and the reap would seem to have found nothing.
func knownOwner(ctx context.Context, cfg *config.Config) error {
	sight := statedir.Look(cfg.StateDir, cfg.Owner)
	switch {
	case sight.Refuse != nil:
		return sight.Refuse
	case cfg.Owner != "" || sight.Owner != "":
		return nil
	case !sight.Exists:
		return fmt.Errorf("state_dir %s does not exist, so nothing tells which sandboxes are this host's: correct state_dir, or set owner to the id that they bear", cfg.StateDir)
	}
	told := ""
	if x, err := lease.Examine(ctx, statedir.LeasesIn(cfg.StateDir)); err == nil && x.Owner != "" {
		told = fmt.Sprintf("; its leases are those of %q", x.Owner)
	}
	return fmt.Errorf("state_dir %s has no owner file, so nothing tells which sandboxes are this host's%s: restore the file, or set owner to the id that they bear", cfg.StateDir, told)
}

// reap runs the engine until nothing more is to be ended.
func (h *Host) reap(ctx context.Context) (Reaped, error) {
	defer h.Close()
	before := h.unended()
	running, stop := context.WithCancel(ctx)
	defer stop()
	pluginsCtx, stopPlugins := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlugins()
	var engine sync.WaitGroup
	engine.Go(func() { h.engine.Run(running, stopGrace) })
	h.mu.Lock()
	h.state = stopping // for Close and Run: nobody else runs it
	h.plugins = &plugins{host: running, ctx: pluginsCtx}
	for _, s := range h.slots {
		h.plugins.start(h, s)
	}
	h.mu.Unlock()

	seen := h.awaitReaped(running, before)
	reports := h.Providers()
	stop()
	engine.Wait()
	stopPlugins()
	h.plugins.work.Wait()
	if err := ctx.Err(); err != nil {
		return Reaped{}, &Error{Code: CodeUnavailable, Op: "reap", Message: "interrupted; what is not done is done by the next run", Err: context.Cause(ctx)}
	}
	return h.reaped(before, seen, reports), nil
}

// unended are the sessions that have not ended, by id.
func (h *Host) unended() map[string]Session {
	all, _ := h.engine.List(Filter{}) // which refuses filters only
	byID := make(map[string]Session, len(all))
	for _, s := range all {
		byID[s.ID] = s
	}
	return byID
}

// awaitReaped returns when no provider is left that has, or may have, something to end; and
// what was seen of each session last.
func (h *Host) awaitReaped(ctx context.Context, before map[string]Session) map[string]Session {
	seen := map[string]Session{}
	since := map[string]time.Time{} // when a provider was READY last
	for _, s := range h.slots {
		since[s.name] = time.Now()
	}
	tick := time.NewTicker(reapStep)
	defer tick.Stop()
	for {
		waits := false
		outstanding := map[string]int{}
		for _, u := range h.engine.Outstanding() {
			if u.Tries < reapTries {
				outstanding[u.Provider]++
			}
		}
		for _, s := range h.slots {
			switch st := s.supervisor.Status(); {
			case st.State == lifecycle.Ready:
				since[s.name] = time.Now()
				waits = waits || outstanding[s.name] > 0
			case st.State != lifecycle.Misconfigured && !st.Changed:
				waits = waits || time.Since(since[s.name]) < reapPatience
			}
		}
		all, _ := h.engine.List(Filter{All: true})
		for _, s := range all {
			if _, was := before[s.ID]; was || s.Status != StatusEnded {
				seen[s.ID] = s
			}
		}
		if !waits {
			return seen
		}
		select {
		case <-ctx.Done():
			return seen
		case <-tick.C:
		}
	}
}

// reaped says what came of the sessions of before, and which ones are new.
func (h *Host) reaped(before, seen map[string]Session, reports []ProviderStatus) Reaped {
	r := Reaped{Providers: reports}
	if store, ok := h.store.(*lease.FileStore); ok {
		r.DamagedStore = store.Damaged()
		r.LostStore = store.Made() && r.DamagedStore == "" && lost(h.dir.Used(), store.SetAside())
	}
	left := map[string]lifecycle.Unended{}
	for _, u := range h.engine.Outstanding() {
		left[u.ID] = u
	}
	now := h.unended()
	for id, s := range seen {
		u, isLeft := left[id]
		_, was := before[id]
		_, lives := now[id]
		if !was {
			r.Adopted = append(r.Adopted, s)
		}
		switch {
		case isLeft:
			r.Left = append(r.Left, Unended{s, h.whyLeft(u, reports)})
		case lives:
			r.Living++
		default:
			s.Status = StatusEnded // also when its record was pruned meanwhile
			r.Ended = append(r.Ended, s)
		}
	}
	r.sort()
	return r
}

// whyLeft is the reason of a session that could not be ended.
func (h *Host) whyLeft(u lifecycle.Unended, reports []ProviderStatus) string {
	for _, p := range reports {
		if p.Name == u.Provider && p.State != lifecycle.Ready {
			return notReady(p)
		}
	}
	switch {
	case h.config().Provider(u.Provider) == nil:
		return notConfigured(u.Provider)
	case u.Err != nil:
		return u.Err.Error()
	}
	return "it was not tried yet"
}

func notReady(p ProviderStatus) string {
	return fmt.Sprintf("provider %q is %s: %s", p.Name, p.State, p.Reason)
}

func notConfigured(name string) string {
	return fmt.Sprintf("provider %q is not configured: bring its block back", name)
}
