package lease

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-dev/berth/sdk/crash"
)

// maxGroup bounds how many writes share one transaction.
const maxGroup = 4096

// write is one change that waits to be on disk.
type write struct {
	key   string
	value []byte     // nil: delete
	done  chan error // buffered: the committer never waits for the waiter
}

// submit hands one write to the committer and waits for its answer, or for ctx.
func (s *FileStore) submit(ctx context.Context, op string, w write) error {
	if err := ctx.Err(); err != nil {
		return storeError(op, w.key, err)
	}
	w.done = make(chan error, 1)
	select {
	case s.writes <- w:
	case <-s.closing:
		return storeError(op, w.key, errClosed)
	case <-ctx.Done():
		return storeError(op, w.key, ctx.Err())
	}
	select {
	case err := <-w.done: // always comes: the committer answers what it has taken
		return storeError(op, w.key, err)
	case <-ctx.Done():
	}
	select {
	case err := <-w.done: // this process was stopped for longer than the write took
		return storeError(op, w.key, err)
	default:
		return storeError(op, w.key, fmt.Errorf("the write may still land: %w", ctx.Err()))
	}
}

// start begins the committer.
func (s *FileStore) start() {
	s.writes = make(chan write)
	s.closing = make(chan struct{})
	s.stopped = make(chan struct{})
	go func() {
		defer close(s.stopped)
		s.run()
	}()
}

// run commits groups of writes until the store is closing. While one group is on its way
// to the disk the next gathers at the channel.
func (s *FileStore) run() {
	var group []write
	for {
		select {
		case w := <-s.writes:
			group = append(group[:0], w)
		case <-s.closing:
			return
		}
		group = s.drain(group)
		begun := time.Now()
		err := s.commit(group)
		if err == nil && s.opts.Observe != nil {
			s.opts.Observe(time.Since(begun))
		}
		for i, w := range group {
			w.done <- err
			group[i] = write{}
		}
	}
}

// drain adds the writes that wait now.
func (s *FileStore) drain(group []write) []write {
	for len(group) < maxGroup {
		select {
		case w := <-s.writes:
			group = append(group, w)
		default:
			return group
		}
	}
	return group
}

// commit writes a group in one transaction, in order. It fails as a whole; bbolt takes
// back what it began, so that the next try begins anew: when there is room again.
func (s *FileStore) commit(group []write) error {
	if err := crash.Point("host.commit.writing"); err != nil {
		return err
	}
	err := s.use(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(leaseBucket)
			for _, w := range group {
				var err error
				if w.value == nil {
					err = b.Delete([]byte(w.key))
				} else {
					err = b.Put([]byte(w.key), w.value)
				}
				if err != nil {
					return fmt.Errorf("session %s: %w", w.key, err)
				}
			}
			return nil
		})
	})
	if err == nil {
		err = crash.Point("host.commit.written")
	}
	return err
}
