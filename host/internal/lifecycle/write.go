package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// writePatience is how long a write may take. A disk that hangs is one that can't be written:
// what must not wait for it, expiry above all, goes on after that.
const writePatience = 10 * time.Second

// put writes a record.
func (e *Engine) put(ctx context.Context, rec lease.Record) error {
	return e.inTime(ctx, rec.SessionID, func(ctx context.Context) error { return e.store.Put(ctx, rec) })
}

// inTime gives a write its time.
func (e *Engine) inTime(ctx context.Context, id string, write func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	err := write(patient)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return &provider.Error{Class: provider.Unavailable, Op: "write lease", ID: id,
			Message: fmt.Sprintf("the disk has not answered for %v, and the write may still land", writePatience)}
	}
	return err
}
