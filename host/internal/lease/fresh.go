package lease

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// The names within the file.
var (
	headerBucket = []byte("berth")
	headerKey    = []byte("header")
	leaseBucket  = []byte("leases")
)

// boltOptions returns the options of every opening of the file.
func boltOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         time.Second, // Open holds the lock already
		NoStatistics:    true,
		InitialMmapSize: 4 << 20, // mapped anew only beyond some thousand records
	}
}

// create makes an empty store at path, whole or not at all. A file that is there by then
// stays, and made is false.
func create(path, owner string) (made bool, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return false, err
	}
	name := tmp.Name()
	defer func() {
		if rerr := os.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}()
	if err := tmp.Close(); err != nil {
		return false, err
	}
	if err := fill(name, header{Birth: time.Now().UTC(), Owner: owner}); err != nil {
		return false, err
	}
	// A link never replaces a file; a file system without links has the state
	// directory's lock alone.
	switch err := os.Link(name, path); {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		if err := os.Rename(name, path); err != nil {
			return false, err
		}
	}
	return true, syncDir(filepath.Dir(path))
}

// fill writes the first content of a store.
func fill(name string, h header) error {
	value, err := sealed(formatVersion, h)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(name, 0o600, boltOptions())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(headerBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(leaseBucket); err != nil {
			return err
		}
		return b.Put(headerKey, value)
	})
	return errors.Join(err, db.Close())
}

// setAside moves a damaged file away and returns its new path.
func setAside(path string) (string, error) {
	base := strings.TrimSuffix(path, ".db") + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	to := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		to = fmt.Sprintf("%s-%d", base, n)
	}
	if err := os.Rename(path, to); err != nil {
		return "", err
	}
	return to, syncDir(filepath.Dir(path))
}

// setAsideBefore are the damaged files beside a store that were moved away; oldest first.
func setAsideBefore(path string) ([]string, error) {
	files, err := filepath.Glob(escapeGlob(strings.TrimSuffix(path, ".db")) + ".damaged-*")
	slices.Sort(files)
	return files, err
}

// sweep removes what a crash within create has left. The caller holds the store's lock.
func sweep(path string) error {
	left, err := filepath.Glob(escapeGlob(path) + ".new-*")
	for _, name := range left {
		if rerr := os.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// escapeGlob quotes what means something in a pattern.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// syncDir makes a directory's entries durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
