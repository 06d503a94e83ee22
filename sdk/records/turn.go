package records

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// turn waits for the turn of a call on a name, until ctx is done.
func (p *Provider) turn(ctx context.Context, op, name string) (unlock func(), err error) {
	unlock, err = p.names.Lock(ctx, name)
	if err != nil {
		return nil, &provider.Error{Class: provider.Canceled, Op: op, ID: name, Err: err}
	}
	return unlock, nil
}
