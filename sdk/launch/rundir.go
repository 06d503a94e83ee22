package launch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// socketName is the longest path that a plugin's socket has below the run directory:
// go-plugin makes a directory and a file in it, each with a random number of 32 bits.
const socketName = "/plugin-dir4294967295/plugin4294967295"

// PrepareRunDir makes <stateDir>/run, the private directory for the sockets of one host's
// plugins, and empties it: what is in there was left by a host that died. So is what stands in
// for it elsewhere, from a time when it had no room. One that is there stays, since a full disk
// has no room for another. The caller holds the lock of stateDir.
func PrepareRunDir(stateDir string) (string, error) {
	dir := filepath.Join(stateDir, "run")
	info, err := os.Lstat(dir)
	there := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("launch: run directory: %w", err)
	case !info.IsDir():
		return "", fmt.Errorf("launch: run directory: %s is in the way (%s): remove it", dir, info.Mode())
	case private(dir):
		err = empty(dir)
	default:
		there, err = false, os.RemoveAll(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("launch: run directory: the leftovers of a former host can't be removed: %w", err)
	}
	if !there {
		if err := os.MkdirAll(stateDir, 0o700); err != nil {
			return "", fmt.Errorf("launch: run directory: %w", err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", fmt.Errorf("launch: run directory: %w", err)
		}
	}
	if err := CheckRunDir(dir); err != nil {
		return "", err
	}
	sweepElsewhere(dir)
	return dir, nil
}

// sweepElsewhere removes what stood in for a run directory. What can't be removed stays: the
// next start needs nothing of it.
func sweepElsewhere(dir string) {
	own := standIn(dir)
	for _, base := range elsewhere() {
		entries, _ := os.ReadDir(base)
		for _, e := range entries {
			if path := filepath.Join(base, e.Name()); strings.HasPrefix(e.Name(), own) && private(path) {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// elsewhere are the directories for sockets while the run directory has no room.
func elsewhere() []string { return []string{os.TempDir(), "/dev/shm"} }

// standIn is how the names of the directories elsewhere begin that stand in for a run directory.
// It is that of the directory and not of its path: in two containers that share /dev/shm the same
// path is another directory each, with a host that lives.
func standIn(runDir string) string {
	var id string
	if info, err := os.Stat(runDir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			id = fmt.Sprint(st.Dev, " ", st.Ino)
		}
	}
	return fmt.Sprintf("berth-%.6x-", sha256.Sum256([]byte(id)))
}

// empty removes what is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// socketsIn is where the sockets of one process go: the run directory, or while that has no
// room, as on a full disk, a private directory elsewhere. remove removes that one.
func (o Options) socketsIn() (dir string, remove func(), err error) {
	full := room(o.RunDir)
	if !errors.Is(full, syscall.ENOSPC) && !errors.Is(full, syscall.EDQUOT) {
		return o.RunDir, func() {}, nil // what else there is shows at the launch
	}
	for _, base := range elsewhere() {
		dir, err := os.MkdirTemp(base, standIn(o.RunDir))
		if err != nil {
			continue
		}
		if room(dir) == nil && CheckRunDir(dir) == nil {
			o.Logger.Warn("the run directory has no room; this plugin's sockets are elsewhere", "run_dir", o.RunDir, "sockets_in", dir, "err", full)
			return dir, func() { os.RemoveAll(dir) }, nil
		}
		os.RemoveAll(dir)
	}
	return "", nil, o.fail(RunDirFailed, full, "there is no room for sockets, neither in the run directory nor in %s: make room", strings.Join(elsewhere(), " or "))
}

// room tells why a directory with a file in it can't be made in dir; nil when it can.
func room(dir string) error {
	try, err := os.MkdirTemp(dir, "room-")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(try, "s"), nil, 0o600), os.RemoveAll(try))
}

// TempRunDir makes a private run directory for a caller without a state directory, such
// as a validation or a test. The caller calls remove when its plugins have ended.
func TempRunDir() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "berth-")
	if err != nil {
		return "", nil, fmt.Errorf("launch: run directory: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// CheckRunDir tells why dir can't be a run directory: it must be a directory of the
// host's own user, closed to everybody else, with a path short enough for sockets in it.
func CheckRunDir(dir string) error {
	if have, limit := len(dir)+len(socketName), maxSocketPath; have > limit {
		return &Error{Reason: PathTooLong, Message: fmt.Sprintf(
			"the run directory %s has %d characters, and sockets in it may have at most %d in all, which leaves %d: choose a shorter `state_dir`",
			dir, len(dir), limit, limit-len(socketName))}
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return &Error{Reason: RunDirFailed, Message: "the run directory can't be used", Err: err}
	case !info.IsDir():
		return &Error{Reason: RunDirFailed, Message: fmt.Sprintf("the run directory %s is no directory (%s)", dir, info.Mode())}
	case info.Mode().Perm()&0o077 != 0:
		return &Error{Reason: RunDirFailed, Message: fmt.Sprintf("the run directory %s is open to others (mode %s): it needs 0700", dir, info.Mode().Perm())}
	case !ownedByUs(info):
		return &Error{Reason: RunDirFailed, Message: fmt.Sprintf("the run directory %s belongs to another user", dir)}
	}
	return nil
}
