package lease

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/berth-dev/berth/sdk/provider"
)

// DefaultLockTimeout is how long Open waits for another process to let go of the file.
const DefaultLockTimeout = 2 * time.Second

// Options are what a store may be given beside its path. The zero value is sensible.
type Options struct {
	// Owner is the host's owner id. A new store records it; one of another owner is
	// refused with Conflict, since its sandboxes are not this host's to touch. "" is not
	// recorded and fits every store.
	Owner string

	// LockTimeout is how long Open waits while another process has the file open;
	// 0 is DefaultLockTimeout.
	LockTimeout time.Duration

	// Observe is told how long each commit took. It must return at once.
	Observe func(time.Duration)

	// Logger hears of a damaged file and of a store that broke. nil: nobody does.
	Logger *slog.Logger
}

// Open opens the store at path, or makes it; see [FileStore.Made]. The directory must exist,
// and the caller holds its lock; see package statedir.
//
// A damaged file is moved to "leases.damaged-<time>" beside it and a new store takes its
// place; see [FileStore.Damaged]. After a crash in between there is none; see
// [FileStore.SetAside]. Errors: Unavailable (the file can't be read, written or locked),
// Unsupported (a newer Berth wrote it; it stays as it is), Conflict (another owner's),
// Canceled.
func Open(ctx context.Context, path string, opts Options) (*FileStore, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.LockTimeout == 0 {
		opts.LockTimeout = DefaultLockTimeout
	}
	made, setAsideTo := false, ""
	for range 5 { // each time round the file at path is another one
		s, err := open(ctx, path, opts)
		switch {
		case err == nil:
			s.made, s.damaged = made, setAsideTo
			if s.setAside, err = setAsideBefore(path); err != nil {
				opts.Logger.Warn("damaged lease files of before can't be looked for", "path", path, "error", err)
			}
			s.start()
			return s, nil
		case errors.Is(err, fs.ErrNotExist):
			made, err = create(path, opts.Owner)
		case errors.Is(err, errMoved):
			err = nil
		case isDamage(err):
			var d *damage
			errors.As(err, &d)
			if d.movedTo != "" {
				setAsideTo = d.movedTo
				opts.Logger.Error("the lease file is damaged; it was moved aside and a new one begun",
					"path", path, "moved_to", d.movedTo, "reason", d.reason)
				made, err = create(path, opts.Owner)
			}
		}
		if err != nil {
			return nil, openError(path, err)
		}
	}
	return nil, openError(path, errors.New("other processes keep replacing it; give each host a state_dir of its own"))
}

// errMoved says that the file was replaced while its lock was awaited.
var errMoved = errors.New("the file was replaced")

// open opens the file that is at path now. On damage the file has been moved away, if it
// could be.
func open(ctx context.Context, path string, opts Options) (_ *FileStore, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	opened := false // f is the store's to close
	defer func() {
		if !opened {
			release(f)
		}
	}()
	info, err := ready(ctx, f, path, opts.LockTimeout)
	if err != nil {
		return nil, err
	}
	undone, err := check(f, info.Size())
	if err != nil {
		return nil, moveIfDamaged(path, err)
	}

	s := &FileStore{path: path, file: f, opts: opts}
	o := boltOptions()
	o.OpenFile = func(string, int, fs.FileMode) (*os.File, error) { return f, nil }
	panicked, err := guard(func() (err error) {
		if s.db, err = bbolt.Open(path, 0o600, o); err == nil {
			err = s.verify()
		}
		return err
	})
	if panicked {
		return nil, moveIfDamaged(path, damaged("%v", err))
	}
	if err == nil && opts.Owner != "" && s.header.Owner != "" && opts.Owner != s.header.Owner {
		err = fmt.Errorf("it belongs to owner %q, and this host is %q: set owner back, or move the file away to begin with an empty one: %w",
			s.header.Owner, opts.Owner, provider.Conflict)
	}
	if err != nil {
		err = moveIfDamaged(path, err)
		opened = true // bbolt closes it
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, err
	}
	opened = true
	if undone != "" {
		opts.Logger.Warn("one of the two headers of the lease file is damaged; the last commit may be lost, and an extension that was acknowledged with it",
			"path", path, "reason", undone)
	}
	if err := sweep(path); err != nil {
		opts.Logger.Warn("what an earlier start left beside the lease file can't be removed", "path", path, "error", err)
	}
	return s, nil
}

// ready locks f and sees that it is still the file at path, a plain one, and private.
func ready(ctx context.Context, f *os.File, path string, timeout time.Duration) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is no regular file (%v): move it away", info.Mode().Type())
	}
	if err := lock(ctx, f, timeout); err != nil {
		return nil, err
	}
	if now, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, now) {
		return nil, errMoved
	} else if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return nil, err
		}
	}
	return f.Stat() // its size, as of now
}

// moveIfDamaged moves the file away when err is damage. The caller holds its lock.
func moveIfDamaged(path string, err error) error {
	var d *damage
	if !errors.As(err, &d) {
		return err
	}
	to, merr := setAside(path)
	if merr != nil {
		return fmt.Errorf("it is damaged (%s) and can't be moved aside: %w", d.reason, merr)
	}
	return &damage{reason: d.reason, movedTo: to}
}

// verify reads the header and every record.
func (s *FileStore) verify() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		head, leases := tx.Bucket(headerBucket), tx.Bucket(leaseBucket)
		if head == nil {
			return damaged("it has no header")
		}
		if err := unseal(head.Get(headerKey), formatVersion, &s.header); errors.Is(err, errNewer) {
			return fmt.Errorf("format %w", err)
		} else if err != nil {
			return damaged("header: %v", err)
		}
		if s.header.Birth.IsZero() || leases == nil {
			return damaged("its header is incomplete")
		}
		return leases.ForEach(func(k, v []byte) error {
			if _, err := decode(k, v); errors.Is(err, errNewer) {
				return err
			} else if err != nil {
				return damaged("%v", err)
			}
			return nil
		})
	})
}

// openError classes an error of Open and tells the remedy.
func openError(path string, err error) error {
	e := &provider.Error{Class: provider.Unavailable, Op: "open leases", ID: path, Err: err}
	switch {
	case errors.Is(err, errNewer):
		e.Class = provider.Unsupported
		e.Message = "run that version, or move the file away to begin with an empty one"
	case errors.Is(err, provider.Conflict):
		e.Class = provider.Conflict
	case errors.Is(err, errLocked):
		e.Message = "stop the other host, or give this one a state_dir of its own"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Class = provider.Canceled
	}
	return e
}
