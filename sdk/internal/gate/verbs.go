package gate

import (
	"context"
	"errors"
	"strconv"

	"github.com/berth-dev/berth/sdk/provider"
)

// gated has the verbs of the provider behind the gate.
type gated plugin

var (
	_ provider.Provider    = (*gated)(nil)
	_ provider.LogReader   = (*gated)(nil)
	_ provider.EventSource = (*gated)(nil)
)

// through makes one call behind the gate.
func through[T any](g *gated, op, id string, call func(provider.Provider) (T, error)) (T, error) {
	p, leave, err := (*plugin)(g).enter(op, id)
	if err != nil {
		var none T
		return none, err
	}
	defer leave()
	return call(p)
}

// Capabilities are those of the provider behind the gate; none before Configure.
func (g *gated) Capabilities() []provider.Capability {
	g.mu.Lock()
	p := g.configured
	g.mu.Unlock()
	if p == nil {
		return nil
	}
	return provider.CapabilitiesOf(p)
}

func (g *gated) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return through(g, "prepare", req.Image, func(p provider.Provider) (provider.Prepared, error) {
		return p.Prepare(ctx, req)
	})
}

func (g *gated) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	return through(g, "create", spec.SessionID, func(p provider.Provider) (provider.Created, error) {
		return p.Create(ctx, spec)
	})
}

func (g *gated) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	id := ref.ID
	if id == "" {
		id = ref.Name
	}
	return through(g, "get", id, func(p provider.Provider) (provider.Sandbox, error) {
		return p.Get(ctx, ref)
	})
}

func (g *gated) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	return through(g, "list", "", func(p provider.Provider) (provider.ListSummary, error) {
		return p.List(ctx, yield)
	})
}

func (g *gated) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	return through(g, "stop", req.ID, func(p provider.Provider) (provider.Stopped, error) {
		return p.Stop(ctx, req)
	})
}

func (g *gated) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	return through(g, "delete", req.ID, func(p provider.Provider) (provider.Deleted, error) {
		return p.Delete(ctx, req)
	})
}

func (g *gated) Health(ctx context.Context) (provider.Health, error) {
	return through(g, "health", "", func(p provider.Provider) (provider.Health, error) {
		return p.Health(ctx)
	})
}

func (g *gated) Identity(ctx context.Context) (string, error) {
	return through(g, "identity", "", func(p provider.Provider) (string, error) {
		return p.Identity(ctx)
	})
}

// Logs ends when the plugin drains.
func (g *gated) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	const op = "logs"
	_, err := through(g, op, req.ID, func(p provider.Provider) (struct{}, error) {
		r, ok := p.(provider.LogReader)
		if !ok {
			return struct{}{}, unsupported(op, req.ID)
		}
		return struct{}{}, g.untilDrained(ctx, op, req.ID, func(ctx context.Context) error {
			return r.Logs(ctx, req, yield)
		})
	})
	return err
}

// Events ends when the plugin drains.
func (g *gated) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	const op = "events"
	_, err := through(g, op, "", func(p provider.Provider) (struct{}, error) {
		s, ok := p.(provider.EventSource)
		if !ok {
			return struct{}{}, unsupported(op, "")
		}
		return struct{}{}, g.untilDrained(ctx, op, "", func(ctx context.Context) error {
			return s.Events(ctx, ready, yield)
		})
	})
	return err
}

// untilDrained runs a stream under a context that Drain ends.
func (g *gated) untilDrained(ctx context.Context, op, id string, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(g.streams, func() { cancel(errDraining) })
	defer stop()
	err := run(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errDraining) {
		return unavailable(op, id, "", errDraining)
	}
	return err
}

func unsupported(op, id string) error {
	return &provider.Error{Class: provider.Unsupported, Op: op, ID: id,
		Message: "this provider has no such ability"}
}

func plural(calls int) string {
	if calls == 1 {
		return "1 call"
	}
	return strconv.Itoa(calls) + " calls"
}
