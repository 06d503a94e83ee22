//go:build chaos && linux

package e2e

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// The state directory is a small file system of its own, so that it can be full.
const stateSize = "96m"

func (l *lane) mountState() {
	dir := l.s.path("state")
	if err := syscall.Mount("berth", dir, "tmpfs", 0, "mode=0700,size="+stateSize); err != nil {
		l.t.Fatalf("a small file system for the state: %v", err)
	}
	l.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			l.t.Error(err)
		}
	})
}

// fillDisk leaves no room in the state directory for a while. A store has free pages of its
// own, from records that are gone; so those are taken away first, while no host runs. It
// reports whether the store has failed for want of room.
func (l *lane) fillDisk() bool {
	l.killHost()
	if err := l.compactStore(); err != nil {
		l.broke("the store can't be read: %v", err)
	}
	if !l.revive() {
		return false
	}
	path := l.s.path("state/ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	l.model.storeFails(true)
	defer l.model.storeFails(false)
	chunk := make([]byte, 64<<10)
	for err == nil {
		if _, err = f.Write(chunk); err != nil && len(chunk) > 4096 {
			chunk, err = chunk[:4096], nil
		}
	}
	_ = f.Close()
	failed := false
	for end := time.Now().Add(between(l.rng, time.Second, 6*time.Second)); time.Now().Before(end) && l.pause(50*time.Millisecond); {
		failed = l.noRoom() || failed
	}
	if l.rng.IntN(3) == 0 { // dies while the disk is full
		l.killHost()
	}
	_ = os.Remove(path)
	return l.revive() && failed
}

// noRoom asks for a session, and reports whether that was refused because the store
// had no room.
func (l *lane) noRoom() bool {
	p := l.model.want(uuid.NewString(), uuid.NewString(), "disk full", 5*time.Second)
	ctx, cancel := context.WithTimeout(l.ctx, chaosCall)
	defer cancel()
	l.model.try(p)
	v, err := l.client.Create(ctx, p.request("default"))
	if err == nil {
		l.model.runs(v, "create")
	}
	l.model.unheard(p)
	return err != nil && strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

// compactStore writes the store anew, without its free pages. No host runs.
func (l *lane) compactStore() error {
	path := l.s.path("state/leases.db")
	from, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	to, err := bbolt.Open(l.s.path("compact.db"), 0o600, nil)
	if err == nil {
		err = errors.Join(bbolt.Compact(to, from, 0), to.Close())
	}
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	text, err := os.ReadFile(l.s.path("compact.db")) // on another file system
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, text, 0o600), os.Remove(l.s.path("compact.db")))
}
