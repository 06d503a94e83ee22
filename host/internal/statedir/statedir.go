// Package statedir is the directory in which one host keeps what must not be lost: the
// lock that makes it the only one, its owner id, and the places of everything else.
package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Dir is an open state directory. Its lock is held until Close, or until the process
// ends, however it ends.
type Dir struct {
	path    string
	owner   string
	lock    *os.File
	unnamed error
	used    bool
}

// LockedError says that another host lives on the directory.
type LockedError struct {
	Path string
	PID  int // of the host that holds it; 0 when it could not be read
}

func (e *LockedError) Error() string {
	holder := "another host"
	if e.PID != 0 {
		holder = fmt.Sprintf("the host with pid %d", e.PID)
	}
	return fmt.Sprintf("state_dir %s is in use by %s; end that one, or give this one a state_dir of its own", e.Path, holder)
}

// Open makes the directory with mode 0700 when it is missing, takes its lock, and reads
// the owner id, which is made when there is none. A configured owner is used instead of
// the one that is kept, which stays. Errors: *LockedError; a directory or an owner that can't be used.
func Open(path, owner string) (*Dir, error) {
	if err := prepare(path); err != nil {
		return nil, err
	}
	d := &Dir{path: path}
	if err := d.acquire(); err != nil {
		return nil, err
	}
	d.used = used(path)
	if err := d.own(owner); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// prepare makes the directory and refuses one that others can look into.
func prepare(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	return usable(path)
}

// usable refuses a directory that is not this user's alone.
func usable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("state_dir %s is no directory", path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("state_dir %s belongs to user %d, and this host runs as %d; give it a directory of its own", path, stat.Uid, os.Geteuid())
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return fmt.Errorf("state_dir %s has mode %04o, so that others can get at it; run chmod 0700 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// acquire takes the lock and writes our pid into it.
func (d *Dir) acquire() error {
	path := filepath.Join(d.path, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		pid, freed := 0, false
		if errors.Is(err, syscall.EWOULDBLOCK) {
			pid, freed = awaitHolder(f)
			err = &LockedError{Path: d.path, PID: pid}
		} else {
			err = fmt.Errorf("state_dir: lock %s: %w", path, err)
		}
		if !freed {
			return errors.Join(err, f.Close())
		}
	}
	d.lock = f
	if d.unnamed = name(f, strconv.Itoa(os.Getpid())); d.unnamed != nil {
		_ = f.Truncate(0) // rather nobody's name than another's
	}
	return nil
}

// lineWidth is how long the line in a lock is, whoever it names: it is written over the one
// before, which needs no room on a disk that is full.
const lineWidth = 20

// name writes a holder's pid into its lock. It is there for people: the lock itself holds
// without it.
func name(f *os.File, pid string) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%-*s\n", lineWidth-1, pid), 0)
	return err
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// awaitHolder reads the holder's pid. One that took the lock this moment has not written
// it yet: the file is blank then, or names a process that has ended. So it does while
// somebody only looks whether the lock is held, see [Look]: freed then says that the lock
// was taken after all.
func awaitHolder(f *os.File) (pid int, freed bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 40 {
		if pid := livingHolder(f); pid > 0 {
			return pid, false
		}
		<-tick.C
		if flock(f, syscall.LOCK_EX) == nil {
			return 0, true
		}
	}
	return 0, false
}

// livingHolder reads the pid of a process that lives; 0 for none.
func livingHolder(f *os.File) int {
	if pid := holder(f); pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return pid
	}
	return 0
}

func holder(f *os.File) int {
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// ownerPattern is what fits a label's value and, cut to twelve characters, a container's
// name.
var ownerPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

// unowned is what adopt says for sandboxes without an owner.
const unowned = "unowned"

// own settles the owner id.
func (d *Dir) own(configured string) error {
	path := filepath.Join(d.path, "owner")
	if configured != "" {
		if !ownerPattern.MatchString(configured) {
			return fmt.Errorf("owner: %q can't be used; give 1 to 63 letters, digits, dots, hyphens and underscores, beginning with a letter or a digit", configured)
		}
		if configured == unowned {
			return fmt.Errorf("owner: %q can't be used: in adopt it means the sandboxes that have no owner; choose another", configured)
		}
		d.owner = configured
		return nil
	}
	kept, err := os.ReadFile(path)
	switch {
	case err == nil:
		d.owner = strings.TrimSpace(string(kept))
		if !ownerPattern.MatchString(d.owner) {
			return badOwnerFile(path, d.owner)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("state_dir: %w", err)
	}
	if err := d.sweep(); err != nil {
		return err
	}
	d.owner = uuid.NewString()
	return writeDurably(path, d.owner+"\n")
}

func badOwnerFile(path, holds string) error {
	return fmt.Errorf("%s holds %q, which is no owner id; restore it, or set owner in the configuration", path, clip(holds))
}

func clip(s string) string { return s[:min(len(s), 64)] }

// sweep removes what a crash in writeDurably has left.
func (d *Dir) sweep() error {
	entries, err := os.ReadDir(d.path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(d.path, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	return nil
}

const newPrefix = ".new-"

// writeDurably writes a file that is there whole, or not at all, after a crash.
func writeDurably(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), newPrefix+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Owner is the id of this host's state, on everything that it makes.
func (d *Dir) Owner() string { return d.owner }

// Used reports whether a host was here before: then there should be leases.
func (d *Dir) Used() bool { return d.used }

// used looks for what a host has left that had leases: the directory of its plugins' sockets,
// which is made once there are some. The owner id comes before them, and may be all there is
// of a start that broke off.
func used(path string) bool {
	_, err := os.Lstat(filepath.Join(path, "run"))
	return err == nil
}

// Unnamed tells why the lock does not say who holds it; nil when it does. Nothing but the
// words of who finds it held depends on that.
func (d *Dir) Unnamed() error { return d.unnamed }

// Leases is the path of the lease store.
func (d *Dir) Leases() string { return LeasesIn(d.path) }

// LeasesIn is the path of the lease store in a directory that is not open.
func LeasesIn(path string) string { return filepath.Join(path, "leases.db") }

// Plugins is the path of the verified copies of plugins.
func (d *Dir) Plugins() string { return filepath.Join(d.path, "plugins") }

// Close lets go of the directory.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	_ = name(d.lock, "")  // the next one says its own
	err := d.lock.Close() // which releases the lock
	d.lock = nil
	return err
}
