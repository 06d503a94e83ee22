package control

import (
	"context"
	"iter"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

// Host is what the API serves. Its methods may be called from many goroutines at once,
// and return soon after their context ends. Errors are of type *api.Error.
type Host interface {
	Create(context.Context, api.CreateRequest) (api.Session, error)
	Ensure(context.Context, api.CreateRequest) (api.Session, error)
	Get(ctx context.Context, id string) (api.Session, error)

	// ListPage answers a part of a list, and the place where it goes on: nil after the
	// last page.
	ListPage(context.Context, api.Filter, api.Page) ([]api.Session, *api.Cursor, error)

	Extend(ctx context.Context, id string, req api.ExtendRequest) (api.Session, error)
	Stop(ctx context.Context, id string) (api.Session, error)
	Delete(ctx context.Context, id string) error

	// Watch yields events until ctx is done or a resync was yielded.
	Watch(context.Context) iter.Seq[api.Event]

	// Logs yields a sandbox's output. An error of yield ends it and is returned.
	Logs(ctx context.Context, id string, req api.LogsRequest, yield func(api.LogChunk) error) error

	// Providers are in the order of the configuration.
	Providers() []Provider
}

// Provider is one provider as it is at one moment.
type Provider = convert.Provider

// Limitation is something that a backend can't do or enforce.
type Limitation = convert.Limitation
