package supervisor

import (
	"context"
	"slices"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// Logs goes to the current generation; Unsupported when it can't. When the backend becomes
// another under it, it ends with Unavailable, and yields nothing more; so does a followed
// one when the generation is replaced. It is made once more, like every call that can be,
// only when it has yielded nothing.
func (s *Supervisor) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	begun := false
	again := func() bool { return !begun }
	_, err := callOn(ctx, s, "logs", req.ID, again, func(ctx context.Context, g *generation) (struct{}, error) {
		reader, ok := g.prov.(provider.LogReader)
		if !ok || !slices.Contains(s.Capabilities(), provider.CapabilityLogs) {
			return struct{}{}, &provider.Error{Class: provider.Unsupported, Op: "logs", ID: req.ID,
				Message: "this provider can't read logs"}
		}
		return struct{}{}, g.readLogs(ctx, reader, req, func(c provider.LogChunk) error {
			begun = true
			return yield(c)
		})
	})
	return err
}

func (g *generation) readLogs(call context.Context, reader provider.LogReader, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	ctx, end := context.WithCancelCause(call)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end(nil)
	watch.Go(func() { end(g.awaitOver(ctx, req)) })
	err := reader.Logs(ctx, req, func(c provider.LogChunk) error {
		if _, over := g.logOver(req); over != nil {
			end(over)
			return over
		}
		return yield(c)
	})
	if ctx.Err() != nil && call.Err() == nil {
		return context.Cause(ctx)
	}
	return err
}

// awaitOver returns the error of logOver as soon as there is one; nil when ctx is done.
func (g *generation) awaitOver(ctx context.Context, req provider.LogsRequest) error {
	for {
		news, over := g.logOver(req)
		if over != nil {
			return over
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

// logOver is an error when a log must not be read on: the backend is another than that of a
// living session, or the log is followed and its generation was replaced. The channel is
// closed when that may have changed.
func (g *generation) logOver(req provider.LogsRequest) (<-chan struct{}, error) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.status.Changed:
		return s.changed, s.unavailable("logs", req.ID, reasonOf(s.status))
	case req.Follow && s.gen != g && g.dead() == nil:
		return s.changed, s.unavailable("logs", req.ID, g.replaced())
	}
	return s.changed, nil
}
