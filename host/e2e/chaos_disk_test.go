//go:build chaos && linux

package e2e

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// The state directory is a small file system of its own, so that it can be full.
const stateSize = "96m"

// mountSmall mounts a small file system, until the end of the test.
func mountSmall(t *testing.T, dir, size string) {
	if err := syscall.Mount("berth", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fillDisk leaves no room in the state directory for a while. A store has free pages of its
// own, from records that are gone; so those are taken away first, while no host runs. It
// reports whether a create was refused for want of room.
func (l *lane) fillDisk() bool {
	l.killHost()
	if err := l.compactStore(); err != nil {
		l.broke("the store can't be read: %v", err)
	}
	if !l.revive() {
		return false
	}
	// Before the provider is READY a create is refused for that, and does not get to the disk.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && l.pause(50*time.Millisecond); {
		if p := l.provider(); p != nil && p.State == "ready" {
			break
		}
	}
	path := l.s.path("state/ballast")
	l.model.storeFails(true)
	defer l.model.storeFails(false)
	if fill(path) != nil {
		return false
	}
	// What the store has free within its file has to go first. Each record is in a page of its
	// own, most likely, so many are asked for at a time; all but one of what costs no sandbox.
	refused := l.whileFull(func() bool {
		var failed atomic.Bool
		var asking sync.WaitGroup
		for i := range 16 {
			asking.Go(func() {
				if l.noRoom([]string{"default", "missing"}[min(i, 1)]) {
					failed.Store(true)
				}
			})
		}
		asking.Wait()
		return failed.Load()
	})
	revived := true
	if l.rng.IntN(3) == 0 { // dies while the disk is full
		l.killHost()
		if l.rng.IntN(2) == 0 { // and is started while it still is
			revived = l.revive()
		}
	}
	_ = os.Remove(path)
	return revived && l.revive() && refused
}

// whileFull asks for as long as a disk is to be full, and until it was refused for that once:
// on a busy machine this may take longer. It reports whether it was.
func (l *lane) whileFull(ask func() bool) (refused bool) {
	begun, drawn := time.Now(), between(l.rng, time.Second, 6*time.Second)
	for {
		took := time.Since(begun)
		if took > drawn && (refused || took > 20*time.Second) || !l.pause(50*time.Millisecond) {
			return refused
		}
		refused = ask() || refused
	}
}

// noRoom asks for a session, and reports whether that was refused because there was no room
// on a disk.
func (l *lane) noRoom(template string) bool {
	p := l.model.want(uuid.NewString(), uuid.NewString(), "disk full", 5*time.Second)
	ctx, cancel := context.WithTimeout(l.ctx, chaosCall)
	defer cancel()
	asked := l.model.try(p)
	if template == "missing" {
		l.model.harm(endsAtOnce, p)
	}
	req := p.request(template)
	req.AgentID = strings.Repeat("much ", 50)
	v, err := l.client.Create(ctx, req)
	if err == nil {
		l.model.runs(v, "create", asked)
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
