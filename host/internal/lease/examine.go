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

// Examination is what [Examine] has found.
type Examination struct {
	Exists   bool
	Mode     fs.FileMode
	Size     int64 // bytes
	Birth    time.Time
	Owner    string // that the store was made for; "" when none was recorded
	Records  []Record
	Damage   string   // what is damaged; Open would move the file aside. "" for nothing
	Undone   string   // why one of the two headers can't be read: the last commit may be undone. "" when both can
	SetAside []string // damaged files of before, that nothing reads any more; oldest first
}

// Examine reads the store at path and changes nothing: a damaged file stays where it is,
// one with a loose mode keeps it, and a missing one is not made. It shares the file's lock
// while it reads, so that a store that opens just then waits a moment.
//
// Errors: as for [Open], but for another owner's store, which is read like every other.
func Examine(ctx context.Context, path string) (Examination, error) {
	var x Examination
	var err error
	if x.SetAside, err = setAsideBefore(path); err != nil {
		return x, openError(path, err)
	}
	err = x.read(ctx, path)
	var d *damage
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return x, nil
	case errors.As(err, &d):
		x.Damage, x.Records = d.reason, nil
		return x, nil
	}
	return x, openError(path, err)
}

func (x *Examination) read(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	opened := false // f is bbolt's to close
	defer func() {
		if !opened {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	x.Exists, x.Mode, x.Size = true, info.Mode(), info.Size()
	if !info.Mode().IsRegular() {
		return fmt.Errorf("is no regular file (%v): move it away", info.Mode().Type())
	}
	if err := lockShared(ctx, f, DefaultLockTimeout); err != nil {
		return err
	}
	if info, err = f.Stat(); err != nil {
		return err
	}
	if x.Undone, err = check(f, info.Size()); err != nil {
		return err
	}
	s := &FileStore{path: path, file: f, opts: Options{Logger: slog.New(slog.DiscardHandler)}}
	o := boltOptions()
	o.ReadOnly = true
	o.OpenFile = func(string, int, fs.FileMode) (*os.File, error) { return f, nil }
	panicked, err := guard(func() (err error) {
		if s.db, err = bbolt.Open(path, 0o600, o); err == nil {
			opened = true
			err = s.verify()
		}
		return err
	})
	if panicked {
		opened = true // its mapping stays until the process ends
		return damaged("%v", err)
	}
	if err == nil {
		x.Birth, x.Owner = s.header.Birth, s.header.Owner
		x.Records, err = s.All(ctx)
	}
	if opened {
		_, cerr := guard(s.db.Close)
		err = errors.Join(err, cerr)
	}
	if provider.ClassOf(err) == provider.Canceled {
		return context.Cause(ctx)
	}
	return err
}
