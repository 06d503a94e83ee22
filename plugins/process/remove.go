//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// remove ends and removes the sandbox in dir if it is the one of that id, and returns when
// it is gone. NotFound: it is not there, or not any more.
func (p *Provider) remove(ctx context.Context, dir, id string) error {
	b, err := look(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	if b.unreadable == nil && b.rec.ID != id {
		return errGone
	}
	if err := p.kill(ctx, b); err != nil {
		return err
	}
	// Whoever holds the lock is alone with the directory. It may be another's by now: of
	// a sandbox that was made in the place of this one.
	lock, err := os.Open(filepath.Join(dir, stage.FileLock))
	switch {
	case errors.Is(err, fs.ErrNotExist) && b.unreadable != nil:
		// no lock: nobody lives there
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	case err != nil:
		return err
	default:
		defer lock.Close()
		if err := seize(ctx, lock); err != nil {
			return err
		}
	}
	after, err := look2(dir, lock)
	if err != nil {
		return err
	}
	if b.unreadable == nil && after.ID != id {
		return errGone
	}
	if err := crash.Point("process.remove.killed"); err != nil {
		return err
	}
	// The directory goes last: until then the sandbox is listed, and the delete can be
	// asked for again.
	groups := b.rec.Cgroups
	if b.unreadable != nil {
		groups = p.machine.tree.DirsOf(filepath.Base(dir) + ".")
	}
	if err := cgroup.Remove(ctx, groups); err != nil {
		return err
	}
	if err := crash.Point("process.remove.ungrouped"); err != nil {
		return err
	}
	dead := filepath.Join(p.dir.sandboxes, prefixDead+randomHex(8))
	if err := os.Rename(dir, dead); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return errGone
		}
		return err
	}
	if err := crash.Point("process.remove.unnamed"); err != nil {
		return err
	}
	p.watched.tell(provider.Event{SandboxID: id, SessionID: b.rec.SessionID, Kind: provider.EventRemoved, At: time.Now().UTC()})
	return os.RemoveAll(dead)
}

// look2 reads a directory's record again, under its lock. NotFound: the lock is of a
// directory that has gone since.
func look2(dir string, lock *os.File) (record, error) {
	var r record
	if lock != nil {
		var held, there unix.Stat_t
		if err := unix.Fstat(int(lock.Fd()), &held); err != nil {
			return r, err
		}
		err := unix.Stat(filepath.Join(dir, stage.FileLock), &there)
		if err != nil || held.Ino != there.Ino || held.Dev != there.Dev {
			return r, errGone
		}
	}
	r, _ = readRecord(dir)
	return r, nil
}

// kill ends all of a sandbox and returns when it runs no more.
func (p *Provider) kill(ctx context.Context, b *box) error {
	if err := p.killShim(ctx, b); err != nil {
		return err
	}
	return b.awaitInit(ctx)
}

// killShim has the shim end the sandbox and itself. One that doesn't is killed, and the
// kernel then kills the sandbox.
func (p *Provider) killShim(ctx context.Context, b *box) error {
	for wait := time.Millisecond; b.held && b.run.Shim == 0; wait = min(2*wait, 20*time.Millisecond) {
		// It is being made by somebody who has not come to the shim yet.
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("the sandbox is still being made: %w", err)
		}
		again, err := look(b.dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && again.rec.ID != b.rec.ID {
			return errGone
		}
		if err != nil {
			return err
		}
		*b = *again
	}
	if !b.held {
		return nil
	}
	s, err := b.shim()
	if err != nil || s == nil {
		return err
	}
	defer s.close()
	if !b.run.Up {
		s.signal(unix.SIGKILL) // it takes no orders yet
		return s.await(ctx)
	}
	s.signal(stage.SignalKill)
	patience, cancel := context.WithTimeout(ctx, killPatience)
	err = s.await(patience)
	cancel()
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	p.log.WarnContext(ctx, "the shim did not end its sandbox and is killed", "sandbox_id", b.rec.ID, "pid", b.run.Shim)
	s.signal(unix.SIGKILL)
	return s.await(ctx)
}

// sweep removes what plugins that were killed have left half made or half removed.
func (p *Provider) sweep() {
	list, err := os.ReadDir(p.dir.sandboxes)
	if err != nil {
		return
	}
	for _, e := range list {
		p.sweepOne(e.Name())
	}
}

// sweepOne removes a directory that nobody makes or removes any more. Whose maker has not
// taken the lock yet loses it, and begins anew.
func (p *Provider) sweepOne(name string) {
	if !strings.HasPrefix(name, ".") {
		return
	}
	path := filepath.Join(p.dir.sandboxes, name)
	err := crash.Point("process.sweep.removing")
	switch {
	case err != nil:
	case strings.HasPrefix(name, prefixDead):
		err = os.RemoveAll(path)
	case strings.HasPrefix(name, prefixNew):
		err = sweepNew(path)
	}
	if err != nil {
		p.log.Warn("what is left of a sandbox can't be removed", "path", path, "error", err)
	}
}

func sweepNew(path string) error {
	lock, err := os.Open(filepath.Join(path, stage.FileLock))
	if errors.Is(err, fs.ErrNotExist) {
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil // its maker is at it
		}
		return err
	}
	// It may have got its name before its maker died, just now.
	var held, there unix.Stat_t
	if err := unix.Fstat(int(lock.Fd()), &held); err != nil {
		return err
	}
	if unix.Stat(filepath.Join(path, stage.FileLock), &there) != nil || held.Ino != there.Ino {
		return nil
	}
	return os.RemoveAll(path)
}
