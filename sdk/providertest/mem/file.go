package mem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// file keeps a backend's sandboxes where the next process finds them. Each operation
// locks it, reads it, and writes it when something changed, so that two processes on one
// file see one world.
type file struct {
	path string
	last []byte // as read or written last
}

// content is what the file holds, as JSON.
type content struct {
	Serial int
	Boxes  []*box
}

// Open returns a backend that keeps its sandboxes in a file, which is made when missing.
func Open(identity, path string) (*Backend, error) {
	b := NewBackend(identity)
	b.file = &file{path: path}
	if err := b.transact(func() error { return nil }); err != nil {
		return nil, err
	}
	return b, nil
}

func (f *file) transact(b *Backend, run func() error) error {
	unlock, err := lock(f.path + ".lock")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	defer unlock()
	if err := f.load(b); err != nil {
		return fmt.Errorf("state file %s: %w", f.path, err)
	}
	if err := run(); err != nil {
		return err
	}
	if err := f.save(b); err != nil {
		return fmt.Errorf("state file %s: %w", f.path, err)
	}
	return nil
}

func (f *file) load(b *Backend) error {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte(`{}`), nil
	}
	if err != nil || bytes.Equal(data, f.last) {
		return err
	}
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	for _, x := range c.Boxes {
		if old := b.byID(x.Sandbox.ID); old != nil {
			x.timer = old.timer
		}
	}
	b.serial, b.boxes, f.last = c.Serial, c.Boxes, data
	return nil
}

func (f *file) save(b *Backend) error {
	data, err := json.MarshalIndent(content{Serial: b.serial, Boxes: b.boxes}, "", " ")
	if err != nil || bytes.Equal(data, f.last) {
		return err
	}
	// Always the same name, under the lock: what a killed process left is written anew.
	tmp, err := os.OpenFile(f.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	f.last = data
	return nil
}

// lock waits until this process alone holds the lock.
func lock(path string) (unlock func() error, err error) {
	l, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(l.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l.Close, nil
}
