// Package leasetest helps to test what stands on a lease store: a store in memory whose
// faults and delays are chosen by the test, and a suite that every store must pass.
package leasetest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// Memory is a lease.Store without I/O. It starts no goroutine and waits on timers,
// channels and contexts alone, so it is at home in a testing/synctest bubble. Records go
// through JSON, as those in a file do.
type Memory struct {
	disk   *disk
	closed chan struct{}
	once   sync.Once
}

var _ lease.Store = (*Memory)(nil)

// disk is what stays when a store is closed.
type disk struct {
	birth time.Time

	mu      sync.Mutex
	records map[string][]byte
	faults  []Fault
	delay   time.Duration
	held    chan struct{}
	writes  int
}

// Fault is a failure of writes.
type Fault struct {
	Err   error // the cause; nil: "no space left on device"
	Lands bool  // the write is on disk, although the caller hears that it failed, or hears nothing
	Times int   // how many writes it hits; 0: all until Clear
}

// New returns an empty store that was born now.
func New() *Memory { return Born(time.Now()) }

// Born returns an empty store with a birth of the test's choice.
func Born(birth time.Time) *Memory {
	return &Memory{
		disk:   &disk{birth: birth.UTC(), records: map[string][]byte{}},
		closed: make(chan struct{}),
	}
}

// Reopen returns another store over the same records, as after a crash. m may be closed
// or not; faults, delays and holds stay.
func (m *Memory) Reopen() *Memory {
	return &Memory{disk: m.disk, closed: make(chan struct{})}
}

// Fail makes coming writes fail, after those that earlier calls have chosen.
func (m *Memory) Fail(f Fault) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.faults = append(m.disk.faults, f)
}

// Clear forgets all faults and the delay.
func (m *Memory) Clear() {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.faults, m.disk.delay = nil, 0
}

// Delay makes each write take d.
func (m *Memory) Delay(d time.Duration) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.delay = d
}

// Hold stops writes before they land until release is called.
func (m *Memory) Hold() (release func()) {
	held := make(chan struct{})
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.held = held
	return sync.OnceFunc(func() {
		m.disk.mu.Lock()
		defer m.disk.mu.Unlock()
		if m.disk.held == held {
			m.disk.held = nil
		}
		close(held)
	})
}

// Writes tells how many writes have landed.
func (m *Memory) Writes() int {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.disk.writes
}

// Record returns what is kept of one session. It works on a closed store too.
func (m *Memory) Record(sessionID string) (lease.Record, bool) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	value, ok := m.disk.records[sessionID]
	return decode(value), ok
}

// Birth implements lease.Store.
func (m *Memory) Birth() time.Time { return m.disk.birth }

// All implements lease.Store.
func (m *Memory) All(ctx context.Context) ([]lease.Record, error) {
	if err := m.usable(ctx); err != nil {
		return nil, failure("list leases", "", err)
	}
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	var recs []lease.Record
	for _, value := range m.disk.records {
		recs = append(recs, decode(value))
	}
	return recs, nil
}

// Put implements lease.Store.
func (m *Memory) Put(ctx context.Context, rec lease.Record) error {
	if rec.SessionID == "" {
		return &provider.Error{Class: provider.InvalidArgument, Op: "put lease", Message: `session_id is ""`}
	}
	value, err := json.Marshal(rec)
	if err != nil {
		return &provider.Error{Class: provider.InvalidArgument, Op: "put lease", ID: rec.SessionID, Err: err}
	}
	return failure("put lease", rec.SessionID, m.write(ctx, func(d *disk) { d.records[rec.SessionID] = value }))
}

// Delete implements lease.Store.
func (m *Memory) Delete(ctx context.Context, sessionID string) error {
	return failure("delete lease", sessionID, m.write(ctx, func(d *disk) { delete(d.records, sessionID) }))
}

// Close implements lease.Store. The records stay, for Reopen.
func (m *Memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *Memory) usable(ctx context.Context) error {
	select {
	case <-m.closed:
		return errors.New("the lease store is closed")
	default:
		return ctx.Err()
	}
}

// write lands one change, with the faults and delays that the test has chosen.
func (m *Memory) write(ctx context.Context, change func(*disk)) error {
	if err := m.usable(ctx); err != nil {
		return err
	}
	d := m.disk
	d.mu.Lock()
	fault, delay, held := d.next(), d.delay, d.held
	d.mu.Unlock()

	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			if fault != nil && fault.Lands && m.usable(context.WithoutCancel(ctx)) == nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				change(d)
				d.writes++
			}
			return ctx.Err()
		}
	}
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := m.usable(ctx); err != nil { // as after a crash in the meantime
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if fault == nil || fault.Lands {
		change(d)
		d.writes++
	}
	if fault == nil {
		return nil
	}
	if fault.Err == nil {
		return errors.New("no space left on device")
	}
	return fault.Err
}

// next takes the fault of one write.
func (d *disk) next() *Fault {
	if len(d.faults) == 0 {
		return nil
	}
	f := d.faults[0]
	if f.Times > 0 {
		if d.faults[0].Times--; d.faults[0].Times == 0 {
			d.faults = d.faults[1:]
		}
	}
	return &f
}

func decode(value []byte) (rec lease.Record) {
	if value != nil {
		if err := json.Unmarshal(value, &rec); err != nil {
			panic(err) // made by Put
		}
	}
	return rec
}

func failure(op, id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &provider.Error{Class: provider.Canceled, Op: op, ID: id, Err: err}
	default:
		return &provider.Error{Class: provider.Unavailable, Op: op, ID: id, Err: err}
	}
}
