package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Sight is what is seen of a state directory from outside.
type Sight struct {
	Exists bool
	Used   bool   // a host was here before: then there should be leases
	Refuse error  // why a host would refuse to start on it; nil when it would not
	Owner  string // the id that is kept; "" when there is none, or it can't be used
	Held   bool   // a host lives on it
	PID    int    // of that host; 0 when it is not known

	Unwritable error // why a host gets to write nothing there; nil when it does
	Full       error // why the leases may find no room; nil when they do
}

// Look looks at a directory and changes nothing: it makes nothing, and keeps no host from
// starting. What it tells may have changed when it returns. configured is the owner of the
// configuration, "" for none.
func Look(path, configured string) Sight {
	var s Sight
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return s
	case err != nil:
		s.Exists, s.Refuse = true, fmt.Errorf("state_dir: %w", err)
		return s
	}
	s.Exists = true
	if s.Refuse = usable(path); s.Refuse != nil {
		return s
	}
	s.Used, s.Unwritable, s.Full = used(path), unwritable(path), full(path)
	if kept, err := os.ReadFile(filepath.Join(path, "owner")); err == nil {
		if s.Owner = strings.TrimSpace(string(kept)); configured == "" && !ownerPattern.MatchString(s.Owner) {
			s.Refuse, s.Owner = badOwnerFile(filepath.Join(path, "owner"), s.Owner), ""
		}
	} else if !errors.Is(err, fs.ErrNotExist) && configured == "" {
		s.Refuse = fmt.Errorf("state_dir: %w", err)
	}
	var err error
	if s.Held, s.PID, err = lookAtLock(filepath.Join(path, "lock")); err != nil && s.Refuse == nil {
		s.Refuse = err
	}
	return s
}

// lookAtLock tries the lock for a moment, as one of many who may share it. A host that
// wants it just then tries again.
func lookAtLock(path string) (held bool, pid int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("state_dir: %w", err)
	}
	defer f.Close() // which lets go of the lock
	switch err := flock(f, syscall.LOCK_SH); {
	case err == nil:
		return false, 0, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return true, livingHolder(f), nil
	default:
		return false, 0, fmt.Errorf("state_dir: lock %s: %w", path, err)
	}
}
