package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/supervisor"
)

// Reload takes over another configuration while the host runs: templates, limits,
// lifecycle, volume_roots and provider blocks hold for what is created from then on.
// Sessions keep the Spec and the deadline that they have.
//
// Each plugin is launched anew beside the one that runs, configured and reconciled, and
// takes its place when all are ready; calls in flight end on the old one. So a reload also
// takes over a new plugin binary, and refuses no call meanwhile.
//
// It is all or nothing. Errors, after each of which everything is as before: a plugin
// refuses its configuration, or can't be launched while its old one runs; a provider block
// is gone that still has living sessions, or is linked in; a block asks for what this
// version can't do; ctx is done before all are ready; the host has ended, or stops. Before
// Run it waits for Run.
//
// state_dir, owner, control and metrics need a restart: other values are told in the log
// and have no effect.
func (h *Host) Reload(ctx context.Context, cfg *config.Config) error {
	select {
	case <-h.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.mu.Lock()
	runs := h.state == running && h.plugins != nil
	old, slots := h.cfg, h.slots
	h.mu.Unlock()
	if !runs {
		return &Error{Code: CodeUnavailable, Op: "reload", Message: "the host does not run"}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.plugins.host, func() { cancel(errors.New("the host is stopping")) })()
	cfg = h.pinned(old, cfg)
	gone := slices.DeleteFunc(slices.Clone(slots), func(s *slot) bool { return cfg.Provider(s.name) != nil })
	if err := h.allowed(gone); err != nil {
		return err
	}
	next, err := h.prepare(ctx, cfg, slots)
	if err != nil {
		return err
	}
	return h.takeOver(context.WithoutCancel(ctx), cfg, next, gone)
}

// allowed refuses what needs no plugin to be refused.
func (h *Host) allowed(gone []*slot) error {
	for _, s := range gone {
		if _, linked := h.opts.Providers[s.name]; linked {
			return &Error{Code: CodeUnsupported, Op: "reload",
				Message: fmt.Sprintf("provider %q is linked into this program and can't be let go; keep its block", s.name)}
		}
	}
	return h.vacant(gone)
}

// pinned is cfg with what only a restart changes as it is in old.
func (h *Host) pinned(old, cfg *config.Config) *config.Config {
	now := *cfg
	for setting, differs := range map[string]bool{
		"state_dir": cfg.StateDir != old.StateDir,
		"owner":     cfg.Owner != old.Owner,
		"control":   cfg.Control != old.Control,
		"metrics":   (cfg.Metrics == nil) != (old.Metrics == nil) || cfg.Metrics != nil && *cfg.Metrics != *old.Metrics,
	} {
		if differs {
			h.log.Warn("a changed setting has no effect before the next start", "setting", setting)
		}
	}
	now.StateDir, now.Owner, now.Control, now.Metrics = old.StateDir, old.Owner, old.Control, old.Metrics
	return &now
}

// vacant refuses to let go of providers that still have living sessions.
func (h *Host) vacant(gone []*slot) error {
	n := h.living()
	for _, s := range gone {
		if n[s.name] > 0 {
			return &Error{Code: CodeConflict, Op: "reload",
				Message: fmt.Sprintf("provider %q is gone from the configuration and still has %d living sessions; delete them first, or keep the block", s.name, n[s.name])}
		}
	}
	return nil
}

// living counts the living sessions of each provider.
func (h *Host) living() map[string]int {
	n := map[string]int{}
	for _, c := range h.engine.Counts() {
		n[c.Provider] += c.N
	}
	return n
}

// successor is one provider of a coming configuration.
type successor struct {
	block *config.Provider
	slot  *slot                 // nil: it is new
	ready *supervisor.Successor // nil: it is new
}

// prepare readies every provider of a coming configuration, side by side. When one can't
// be had, none is kept.
func (h *Host) prepare(ctx context.Context, cfg *config.Config, slots []*slot) ([]successor, error) {
	next := make([]successor, len(cfg.Providers))
	errs := make([]error, len(cfg.Providers))
	var work sync.WaitGroup
	for i, p := range cfg.Providers {
		next[i].block = p
		how := launcher(cfg, p, h.opts, h.dir.Plugins(), h.runDir)
		if at := slices.IndexFunc(slots, func(s *slot) bool { return s.name == p.Name }); at >= 0 {
			next[i].slot = slots[at]
		}
		work.Go(func() {
			if next[i].slot == nil {
				errs[i] = judge(ctx, how, p)
			} else {
				next[i].ready, errs[i] = next[i].slot.supervisor.Successor(ctx, how, p)
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("provider %q: %w", p.Name, errs[i])
			}
		})
	}
	work.Wait()
	for i, n := range next { // what came to pass while the others were prepared
		if n.ready != nil && errs[i] == nil {
			if err := n.ready.Err(); err != nil {
				errs[i] = fmt.Errorf("provider %q: %w", n.block.Name, err)
			}
		}
	}
	code, err := CodeInvalidArgument, errors.Join(errs...)
	if ctx.Err() != nil {
		code, err = CodeUnavailable, errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		discard(next)
		return nil, &Error{Code: code, Op: "reload", Message: "nothing has changed", Err: err}
	}
	return next, nil
}

func discard(next []successor) {
	var work sync.WaitGroup
	for _, n := range next {
		if n.ready != nil {
			work.Go(n.ready.Discard)
		}
	}
	work.Wait()
}

// takeOver puts a prepared configuration in its place. It is not left half done.
func (h *Host) takeOver(ctx context.Context, cfg *config.Config, next []successor, gone []*slot) error {
	var slots []*slot
	var added []*slot
	for _, n := range next {
		s := n.slot
		if s == nil {
			var err error
			if s, err = h.newSlot(cfg, n.block); err != nil {
				discard(next)
				for _, s := range added {
					h.engine.Detach(s.name)
				}
				return fmt.Errorf("host: %w", err)
			}
			added = append(added, s)
		}
		slots = append(slots, s)
	}
	errs := make([]error, len(next))
	var work sync.WaitGroup
	for i, n := range next {
		if n.ready != nil {
			n.slot.cfg.Store(n.block)
			work.Go(func() { errs[i] = n.ready.Use(ctx) })
		}
	}
	work.Wait()
	h.engine.SetPolicy(limitsOf(cfg), templatesOf(cfg), adoptOf(cfg))
	n := h.living() // nothing more is created on those that are gone
	gone = slices.DeleteFunc(gone, func(s *slot) bool {
		if n[s.name] == 0 {
			return false
		}
		h.log.Warn("a provider that is gone from the configuration got sessions meanwhile; it stays until a reload finds none", "provider", s.name, "sessions", n[s.name])
		slots = append(slots, s)
		return true
	})
	h.mu.Lock()
	h.cfg, h.slots = cfg, slots
	if h.state == running {
		for _, s := range added {
			h.plugins.start(h, s)
		}
	}
	h.mu.Unlock()
	for _, s := range gone {
		h.engine.Detach(s.name)
		s.stop()
		<-s.done
		h.metrics.Forget(s.name)
	}
	h.pruneCache(ctx, cfg)
	h.log.Info("the configuration was taken over", "providers", names(slots), "templates", len(cfg.Templates))
	return errors.Join(errs...)
}

func names(slots []*slot) string {
	list := make([]string, len(slots))
	for i, s := range slots {
		list[i] = s.name
	}
	return strings.Join(list, ", ")
}
