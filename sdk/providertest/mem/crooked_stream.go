package mem

import (
	"context"
	"errors"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

func (c *crookedProvider) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	_, known := c.sandbox(req.ID)
	switch {
	case c.breach == LogsOfNothing && !known:
		return nil
	case c.breach == LogsEndEarly:
		req.Follow = false
	case c.breach == LogsWithoutTail:
		req.Tail = 0
	}
	var all []provider.LogChunk
	err := c.Provider.Logs(ctx, req, func(chunk provider.LogChunk) error {
		switch c.breach {
		case LogsBackwards:
			all = append(all, chunk)
			return nil
		case LogsDeafToReader:
			_ = yield(chunk)
			return nil
		}
		return yield(chunk)
	})
	slices.Reverse(all)
	for _, chunk := range all {
		if err := yield(chunk); err != nil {
			return err
		}
	}
	if c.breach == LogsNeverEnd && req.Follow && err == nil {
		<-ctx.Done()
		return canceled(ctx, Logs, req.ID)
	}
	return err
}

func (c *crookedProvider) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	switch c.breach {
	case EventsNotReady:
		ready = func() {}
	case EventsReadyTwice:
		once := ready
		ready = func() { once(); once() }
	case EventsSilent:
		yield = func(provider.Event) error { return nil }
	}
	err := c.Provider.Events(ctx, ready, yield)
	switch {
	case c.breach == EventsEndWell && ctx.Err() != nil:
		return nil
	case c.breach == EventsGoOn && errors.Is(err, provider.Unavailable):
		<-ctx.Done()
		return canceled(ctx, Events, "")
	}
	return err
}
