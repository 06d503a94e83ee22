package records

import (
	"context"
	"errors"
	"os"

	"github.com/berth-dev/berth/sdk/provider"
)

// Get observes one sandbox.
func (p *Provider) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	const op = "get"
	id, find := ref.ID, p.byID
	switch {
	case ref.ID != "":
	case ref.Name != "":
		id, find = ref.Name, p.byName
	default:
		return provider.Sandbox{}, &provider.Error{Class: provider.InvalidArgument, Op: op, Message: "neither id nor name was given"}
	}
	e, err := find(id)
	switch {
	case err != nil:
		return provider.Sandbox{}, unavailable(op, id, err)
	case e == nil:
		return provider.Sandbox{}, &provider.Error{Class: provider.NotFound, Op: op, ID: id, Message: "there is no such sandbox"}
	}
	seen, err := p.runtime.Observe(ctx, e.dir)
	if err != nil {
		return provider.Sandbox{}, err
	}
	return e.sandbox(seen), nil
}

// List observes every sandbox that has an entry.
func (p *Provider) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	const op = "list"
	if _, err := p.Identity(ctx); err != nil { // the directory is not what it was
		return provider.ListSummary{}, unavailable(op, "", err)
	}
	names, err := os.ReadDir(p.dir)
	if err != nil {
		return provider.ListSummary{}, unavailable(op, "", err)
	}
	var summary provider.ListSummary
	for _, n := range names {
		if !n.IsDir() || !validName(n.Name()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return provider.ListSummary{}, &provider.Error{Class: provider.Canceled, Op: op, Err: err}
		}
		e, err := p.byName(n.Name())
		if err != nil {
			return provider.ListSummary{}, unavailable(op, n.Name(), err)
		}
		if e == nil { // removed meanwhile
			continue
		}
		summary.Total++
		if e.unreadable != "" {
			summary.Unreadable = append(summary.Unreadable, provider.Unreadable{ID: e.ID, Owner: e.Owner, Reason: e.unreadable})
			continue
		}
		seen, err := p.runtime.Observe(ctx, e.dir)
		if err != nil {
			if again, there := p.byID(e.ID); there == nil && again == nil { // removed while it was looked at
				summary.Total--
				continue
			}
			return provider.ListSummary{}, err
		}
		s := e.sandbox(seen)
		s.Exit = nil
		if err := yield(s); err != nil {
			return provider.ListSummary{}, err
		}
	}
	return summary, nil
}

// Dir is the entry of a sandbox, for what a provider can do beyond these verbs. It is
// NotFound when there is no such sandbox.
func (p *Provider) Dir(id string) (string, error) {
	e, err := p.byID(id)
	if err == nil && e == nil {
		return "", &provider.Error{Class: provider.NotFound, ID: id, Message: "there is no such sandbox"}
	}
	if err != nil {
		return "", errors.Join(provider.Unavailable, err)
	}
	return e.dir, nil
}
