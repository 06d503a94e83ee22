//go:build linux

package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// List observes every sandbox of the state directory; see [provider.Provider].
func (p *Provider) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanList)
	var stop error // yield's
	summary, active, err := p.list(ctx, func(s provider.Sandbox) error {
		stop = yield(s)
		return stop
	})
	if stop != nil {
		summary, err = provider.ListSummary{}, stop
	} else if err != nil {
		failed := failure(ctx, "list", "", codeList, "the sandboxes could not be listed", err)
		p.log.WarnContext(ctx, "list failed", "code", codeList, "class", string(failed.Class), "error", failed)
		summary, err = provider.ListSummary{}, failed
	} else {
		span.SetAttributes(attrSandboxCount.Int(summary.Total), spans.ActiveCount.Int(active))
	}
	spans.End(span, spans.Listed, err)
	return summary, err
}

func (p *Provider) list(ctx context.Context, yield func(provider.Sandbox) error) (summary provider.ListSummary, active int, err error) {
	entries, err := os.ReadDir(p.dir.sandboxes)
	if err != nil {
		return summary, 0, &provider.Error{Class: provider.Unavailable, Message: "the state directory can't be read", Err: err}
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return summary, active, err
		}
		if !sandboxName.MatchString(e.Name()) {
			p.sweepOne(e.Name())
			continue
		}
		b, err := look(filepath.Join(p.dir.sandboxes, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return summary, active, err
		}
		summary.Total++
		s := b.sandbox(false)
		if s.Unreadable != "" {
			summary.Unreadable = append(summary.Unreadable, provider.Unreadable{ID: s.ID, Owner: s.Owner, Reason: s.Unreadable})
			continue
		}
		if s.State == provider.StateRunning {
			active++
		}
		if err := yield(s); err != nil {
			return summary, active, err
		}
	}
	p.complainOnce(ctx, summary.Unreadable)
	return summary, active, nil
}

// complainOnce logs each unreadable sandbox when it is seen for the first time.
func (p *Provider) complainOnce(ctx context.Context, unreadable []provider.Unreadable) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[string]bool, len(unreadable))
	for _, u := range unreadable {
		if !p.unreadable[u.ID] {
			p.log.WarnContext(ctx, "a sandbox's record can't be read; it is left out",
				"sandbox_id", u.ID, "owner", u.Owner, "reason", u.Reason)
		}
		seen[u.ID] = true
	}
	p.unreadable = seen
}
