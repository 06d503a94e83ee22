package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// writePatience is how long a write may take. A disk that hangs is one that can't be written:
// what must not wait for it, expiry above all, goes on after that. Once one write has waited
// so long, no other does, until the store has answered again.
const writePatience = 10 * time.Second

// put writes a record.
func (e *Engine) put(ctx context.Context, rec lease.Record) error {
	return e.write(ctx, rec.SessionID, func(ctx context.Context) error { return e.store.Put(ctx, rec) })
}

// write makes a write, unless the disk hangs.
func (e *Engine) write(ctx context.Context, id string, f func(context.Context) error) error {
	if e.hangs.Load() {
		return errHangs(id)
	}
	return e.tryWrite(ctx, id, f)
}

// tryWrite makes a write, and finds out whether the disk hangs.
func (e *Engine) tryWrite(ctx context.Context, id string, f func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	err := f(patient)
	switch {
	case err == nil || patient.Err() == nil:
		if e.hangs.Swap(false) {
			e.log.Info("the disk of the leases answers again", "err", err)
		}
	case ctx.Err() == nil:
		if !e.hangs.Swap(true) {
			e.log.Error("the disk of the leases hangs: nothing new is promised, and what is due goes on", "session_id", id, "waited", writePatience)
		}
		return errHangs(id)
	}
	return err
}

// probe asks a disk that hangs whether it still does, by a write that changes nothing.
func (e *Engine) probe(ctx context.Context) error {
	const nobody = "probe" // no session's id
	return e.tryWrite(ctx, nobody, func(ctx context.Context) error { return e.store.Delete(ctx, nobody) })
}

func errHangs(id string) error {
	return &provider.Error{Class: provider.Unavailable, Op: "write lease", ID: id,
		Message: fmt.Sprintf("the disk has not answered for %v, and the write may still land", writePatience)}
}
