package docker

import (
	"context"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// List observes every container that bears all six labels, in one call of the daemon;
// see [provider.Provider].
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
		err = p.failure(ctx, "list", "", codeList, "the sandboxes could not be listed", err)
		p.log.WarnContext(ctx, "list failed", "code", codeList, "class", string(provider.ClassOf(err)), "error", err)
		summary = provider.ListSummary{}
	} else {
		span.SetAttributes(attrContainerCount.Int(summary.Total), spans.ActiveCount.Int(active))
	}
	spans.End(span, spans.Listed, err)
	return summary, err
}

func (p *Provider) list(ctx context.Context, yield func(provider.Sandbox) error) (summary provider.ListSummary, active int, err error) {
	want := filters.NewArgs()
	for _, key := range sessionLabels {
		want.Add("label", key)
	}
	containers, err := p.daemon.client().ContainerList(ctx, container.ListOptions{All: true, Filters: want})
	if err != nil {
		return summary, 0, err
	}
	summary.Total = len(containers)
	for _, c := range containers {
		s, err := fromSummary(c)
		if err != nil {
			summary.Unreadable = append(summary.Unreadable, provider.Unreadable{ID: c.ID, Owner: s.Owner, Reason: err.Error()})
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

// complainOnce logs each unreadable container when it is seen for the first time.
func (p *Provider) complainOnce(ctx context.Context, unreadable []provider.Unreadable) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[string]bool, len(unreadable))
	for _, u := range unreadable {
		if !p.unreadable[u.ID] {
			p.log.WarnContext(ctx, "a container's labels can't be read; it is left out",
				"container_id", u.ID, "owner", u.Owner, "reason", u.Reason)
		}
		seen[u.ID] = true
	}
	p.unreadable = seen
}
