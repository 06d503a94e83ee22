package supervisor

import (
	"context"
	"slices"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// Logs goes to the current generation; Unsupported when it can't. When the backend becomes
// another under it, it ends with Unavailable, and yields nothing more.
func (s *Supervisor) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	_, err := call(ctx, s, "logs", req.ID, once, func(ctx context.Context, p provider.Provider) (struct{}, error) {
		reader, ok := p.(provider.LogReader)
		if !ok || !slices.Contains(s.Capabilities(), provider.CapabilityLogs) {
			return struct{}{}, &provider.Error{Class: provider.Unsupported, Op: "logs", ID: req.ID,
				Message: "this provider can't read logs"}
		}
		return struct{}{}, s.readLogs(ctx, reader, req, yield)
	})
	return err
}

func (s *Supervisor) readLogs(call context.Context, reader provider.LogReader, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	ctx, end := context.WithCancelCause(call)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end(nil)
	watch.Go(func() { end(s.awaitOther(ctx, req.ID)) })
	err := reader.Logs(ctx, req, func(c provider.LogChunk) error {
		if other, _ := s.otherBackend(req.ID); other != nil {
			end(other)
			return other
		}
		return yield(c)
	})
	if ctx.Err() != nil && call.Err() == nil {
		return context.Cause(ctx)
	}
	return err
}

// awaitOther returns the error of otherBackend as soon as there is one; nil when ctx is
// done.
func (s *Supervisor) awaitOther(ctx context.Context, id string) error {
	for {
		other, news := s.otherBackend(id)
		if other != nil {
			return other
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

// otherBackend is an error while the backend is another than that of a living session. The
// channel is closed when that may have changed.
func (s *Supervisor) otherBackend(id string) (error, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Changed {
		return s.unavailable("logs", id, reasonOf(s.status)), s.changed
	}
	return nil, s.changed
}
