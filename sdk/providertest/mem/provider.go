package mem

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// Provider is one provider on a backend. It holds no state of its own.
type Provider struct{ b *Backend }

var (
	_ provider.Provider    = (*Provider)(nil)
	_ provider.LogReader   = (*Provider)(nil)
	_ provider.EventSource = (*Provider)(nil)
)

// Provider returns a provider on b.
func (b *Backend) Provider() *Provider { return &Provider{b} }

// verb plays the faults around an effect. The effect runs with the backend's lock held,
// and only if the backend answers.
func (p *Provider) verb(ctx context.Context, op Verb, id string, effect func(Fault) error) error {
	f := p.b.begin(op)
	if err := f.before(ctx, op, id); err != nil {
		return err
	}
	if err := canceled(ctx, op, id); err != nil && !f.Deaf {
		return err
	}
	err := p.b.transact(func() error {
		if !p.b.available {
			return fail(provider.Unavailable, op, id, "the backend does not answer")
		}
		return effect(f)
	})
	if err != nil {
		return err
	}
	return f.after(ctx, op, id)
}

func canceled(ctx context.Context, op Verb, id string) error {
	if err := ctx.Err(); err != nil {
		return &provider.Error{Class: provider.Canceled, Op: string(op), ID: id, Err: err}
	}
	return nil
}

// Prepare knows every image that has a name.
func (p *Provider) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	var answer provider.Prepared
	err := p.verb(ctx, Prepare, req.Image, func(Fault) error {
		if req.Image == "" {
			return fail(provider.InvalidArgument, Prepare, "", "image is empty: name one in the template")
		}
		answer = provider.Prepared{Digest: Digest(req.Image), User: p.b.user}
		return nil
	})
	if err != nil {
		return provider.Prepared{}, err
	}
	return answer, nil
}

// Get answers for readable and unreadable sandboxes alike.
func (p *Provider) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	var answer provider.Sandbox
	id := ref.ID
	if id == "" {
		id = ref.Name
	}
	err := p.verb(ctx, Get, id, func(f Fault) error {
		var x *box
		switch {
		case ref.ID != "":
			x = p.b.byID(ref.ID)
		case ref.Name != "":
			x = p.b.byName(ref.Name)
		default:
			return fail(provider.InvalidArgument, Get, "", "neither id nor name was given")
		}
		if x == nil {
			return fail(provider.NotFound, Get, id, "there is no such sandbox")
		}
		answer = x.inspected()
		f.lie(&answer)
		return nil
	})
	if err != nil {
		return provider.Sandbox{}, err
	}
	return answer, nil
}

// List yields the readable sandboxes as they were when the call came.
func (p *Provider) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	var (
		all     []provider.Sandbox
		summary provider.ListSummary
		cut     int
		twice   bool
	)
	err := p.verb(ctx, List, "", func(f Fault) error {
		cut, twice = f.Cut, f.Twice
		summary.Total = len(p.b.boxes)
		for _, x := range p.b.boxes {
			s := x.listed()
			if s.Unreadable != "" {
				summary.Unreadable = append(summary.Unreadable,
					provider.Unreadable{ID: s.ID, Owner: s.Owner, Reason: s.Unreadable})
				continue
			}
			f.lie(&s)
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return provider.ListSummary{}, err
	}
	if twice && len(all) > 0 {
		all = append(all, all[0])
	}
	for i, s := range all {
		if cut > 0 && i == cut {
			break
		}
		if err := canceled(ctx, List, ""); err != nil {
			return provider.ListSummary{}, err
		}
		if err := yield(s); err != nil {
			return provider.ListSummary{}, err
		}
	}
	if cut > 0 {
		return provider.ListSummary{}, fail(provider.Unavailable, List, "", "the list was cut off after %d sandboxes", min(cut, len(all)))
	}
	return summary, nil
}

// Health answers also while the backend does not.
func (p *Provider) Health(ctx context.Context) (provider.Health, error) {
	f := p.b.begin(Health)
	if err := f.before(ctx, Health, ""); err != nil {
		return provider.Health{}, err
	}
	p.b.mu.Lock()
	h := provider.Health{Available: p.b.available}
	if h.Available {
		h.Version, h.Identity, h.Limitations = "mem", f.backend(p.b.identity), p.b.limits
	} else {
		h.Message = "the backend does not answer"
	}
	p.b.mu.Unlock()
	if err := f.after(ctx, Health, ""); err != nil {
		return provider.Health{}, err
	}
	return h, nil
}

// Identity answers what NewBackend or SetIdentity said last.
func (p *Provider) Identity(ctx context.Context) (string, error) {
	var identity string
	err := p.verb(ctx, Identity, "", func(f Fault) error {
		identity = f.backend(p.b.identity)
		return nil
	})
	if err != nil {
		return "", err
	}
	return identity, nil
}
