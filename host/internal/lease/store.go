package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/berth-dev/berth/sdk/provider"
)

// FileStore is a Store in a bbolt file. Open makes one; whoever did closes it.
type FileStore struct {
	path     string
	file     *os.File
	db       *bbolt.DB
	header   header
	damaged  string
	made     bool
	setAside []string
	opts     Options

	writes  chan write
	closing chan struct{} // closed by the first Close
	stopped chan struct{} // closed when the committer has returned
	once    sync.Once
	closed  error

	mu     sync.Mutex // held around each use of db
	broken error      // set when bbolt panicked
}

var _ Store = (*FileStore)(nil)

// What one record may take, in bytes.
const (
	maxKey   = 1 << 10
	maxValue = 1 << 20
)

var errClosed = errors.New("the lease store is closed")

// Birth tells when the store was made; see [Store].
func (s *FileStore) Birth() time.Time { return s.header.Birth }

// Owner tells the owner that the store was made for; "" when none was recorded.
func (s *FileStore) Owner() string { return s.header.Owner }

// Damaged tells where Open moved a damaged file that was at the store's path; "" when
// there was none. The store is then a new one: what was promised is lost.
func (s *FileStore) Damaged() string { return s.damaged }

// Made reports whether Open made the store: there was none at its path, or a damaged one.
// Where there should have been one, what was promised is lost.
func (s *FileStore) Made() bool { return s.made }

// SetAside tells which damaged files there are beside the store, oldest first; that of this
// Open among them.
func (s *FileStore) SetAside() []string { return s.setAside }

// All returns every record.
func (s *FileStore) All(ctx context.Context) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, storeError("list leases", "", err)
	}
	var recs []Record
	err := s.use(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(leaseBucket).ForEach(func(k, v []byte) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				rec, err := decode(k, v)
				recs = append(recs, rec)
				return err
			})
		})
	})
	if err != nil {
		return nil, storeError("list leases", "", err)
	}
	return recs, nil
}

// use runs fn, which uses bbolt, alone. After a panic bbolt may hold its locks for ever,
// so nothing enters it again.
func (s *FileStore) use(fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	panicked, err := guard(fn)
	if panicked {
		err = fmt.Errorf("%w; restart the host: a damaged file is moved aside then", err)
		s.broken = err
		s.opts.Logger.Error("the lease store is broken", "path", s.path, "error", err)
	}
	return err
}

// Put writes a record; see [Store]. When ctx is done it returns, and the write may still
// land.
func (s *FileStore) Put(ctx context.Context, rec Record) error {
	const op = "put lease"
	value, err := encode(rec)
	switch n := len(rec.SessionID); {
	case err != nil:
	case n == 0 || n > maxKey:
		err = fmt.Errorf("session_id has %d bytes: 1 to %d are allowed", n, maxKey)
	case len(value) > maxValue:
		err = fmt.Errorf("the record has %d bytes: at most %d are allowed, so shorten its metadata", len(value), maxValue)
	}
	if err != nil { // refused here, so that it fails nobody else's write
		return &provider.Error{Class: provider.InvalidArgument, Op: op, ID: rec.SessionID, Err: err}
	}
	return s.submit(ctx, op, write{key: rec.SessionID, value: value})
}

// Delete forgets a record; see [Store]. When ctx is done it returns, and the write may
// still land.
func (s *FileStore) Delete(ctx context.Context, sessionID string) error {
	if sessionID == "" || len(sessionID) > maxKey {
		return nil // Put lets no such record in
	}
	return s.submit(ctx, "delete lease", write{key: sessionID})
}

// Close waits for the writes under way and releases the file. Later calls of any method
// fail; a later Close returns what the first did.
func (s *FileStore) Close() error {
	s.once.Do(func() {
		close(s.closing)
		<-s.stopped
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.broken != nil {
			// The mapping stays until the process ends.
			s.closed = release(s.file)
			return
		}
		_, s.closed = guard(s.db.Close)
	})
	<-s.stopped
	return s.closed
}

// storeError classes an error of an open store.
func storeError(op, id string, err error) error {
	if err == nil {
		return nil
	}
	e := &provider.Error{Class: provider.Unavailable, Op: op, ID: id, Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e.Class = provider.Canceled
	} else if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		e.Err = errClosed
	}
	return e
}
