package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// prefix is that of the names of rooms: of their directories and of their cgroups.
const prefix = "berth-engine-"

// room is the directory that holds all files of one engine, and a lock for as long as its
// process lives.
type room struct {
	dir  string
	lock *os.File
}

func newRoom() (*room, error) {
	for {
		dir, err := os.MkdirTemp("", prefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockOf(dir, os.O_CREATE)
		if err == nil {
			return &room{dir: dir, lock: lock}, nil
		}
		if err := errors.Join(err, os.RemoveAll(dir)); !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		} // a sweep came between
	}
}

// lockOf takes the lock of a room, or tells that somebody has it.
func lockOf(dir string, flag int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), flag|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// remove removes what the engine has left: its mounts have gone with its room.
func (r *room) remove() error {
	err := errors.Join(dockertest.RemoveGroups(filepath.Base(r.dir)), os.RemoveAll(r.dir))
	return errors.Join(err, r.lock.Close())
}

// sweep removes the rooms whose process was killed. What can't be removed is told, and
// hinders nobody.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		lock, err := lockOf(dir, 0)
		if err != nil {
			continue // it lives, or is about to
		}
		if err := (&room{dir: dir, lock: lock}).remove(); err != nil {
			fmt.Fprintf(os.Stderr, "berth-engine: %s, left by a process that was killed: %v\n", dir, err)
		}
	}
}
