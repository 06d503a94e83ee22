//go:build linux

package process

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/internal/doors"
	"github.com/berth-dev/berth/sdk/provider"
)

// A state directory holds, under sandboxes, a directory for each sandbox, by the sandbox's
// name. Directories whose names begin with a dot are on the way in or out: they are no
// sandboxes, and are swept.
const (
	dirSandboxes = "sandboxes"
	fileIdentity = "identity" // what tells it from another directory in its place
	prefixNew    = ".new-"    // is being made; its lock is held
	prefixDead   = ".dead-"   // is being removed
)

// stateDir is an open state directory.
type stateDir struct {
	path      string
	sandboxes string
}

// defaultStateDir is where a machine's state belongs: for root by file-hierarchy(7), for
// others by the XDG base directory specification.
func defaultStateDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/berth-process", nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", refusal(provider.InvalidArgument, "state_dir is not set and HOME is no absolute path; set state_dir in the provider's config")
	}
	return filepath.Join(home, ".local", "state", "berth-process"), nil
}

// openStateDir makes the directory when it is missing, and refuses one that others can
// look into. An empty path is the default. A directory whose parent is missing may be on a
// file system that is not mounted yet: it is looked for again by every verb, and never made
// together with its parents, so that an empty one is not taken for it.
func openStateDir(path string) (*stateDir, error) {
	if path == "" {
		var err error
		if path, err = defaultStateDir(); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, unusable(path, err)
		}
	}
	path = doors.Resolve(path) // as the sources of mounts are; it may not be there yet
	d := &stateDir{path: path, sandboxes: filepath.Join(path, dirSandboxes)}
	if err := d.have(); err != nil && !errors.Is(err, provider.Unavailable) {
		return nil, err
	}
	return d, nil
}

// have looks at the directory, and makes it when its parent is there. Unavailable: neither
// is, or it has lost what was in it.
func (d *stateDir) have() error {
	err := os.Mkdir(d.path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return &provider.Error{Class: provider.Unavailable, Message: fmt.Sprintf("state_dir %s is not there, and nor is its parent; mount or make that", d.path), Err: err}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return unusable(d.path, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(d.path, &st); err != nil {
		return unusable(d.path, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return unusable(d.path, errors.New("it is no directory"))
	case int(st.Uid) != os.Geteuid():
		return unusable(d.path, fmt.Errorf("it belongs to user %d, and this provider runs as %d; give it a directory of its own", st.Uid, os.Geteuid()))
	case st.Mode&0o077 != 0:
		return unusable(d.path, fmt.Errorf("it has mode %04o, so that others can get at it; run chmod 0700 %s", st.Mode&0o777, d.path))
	}
	if _, err := os.Stat(filepath.Join(d.path, fileIdentity)); err == nil { // it has had sandboxes
		if _, err := os.Stat(d.sandboxes); err != nil {
			return &provider.Error{Class: provider.Unavailable, Message: fmt.Sprintf("state_dir %s is not whole", d.path), Err: err}
		}
		return nil
	}
	if err := os.Mkdir(d.sandboxes, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return unusable(d.path, err)
	}
	return nil
}

func unusable(path string, err error) error {
	return &provider.Error{Class: provider.InvalidArgument, Op: "open",
		Message: fmt.Sprintf("state_dir %s can't be used", path), Err: err}
}

// box is the directory of the sandbox of a name.
func (d *stateDir) box(name string) string { return filepath.Join(d.sandboxes, name) }

// identity names this directory on this machine: the same after a restart, another where
// the directory, or the machine, is another, also when it was made anew in the same place.
// The machine's id itself is not told; see machine-id(5).
func (d *stateDir) identity() (string, error) {
	if err := d.have(); err != nil {
		return "", &provider.Error{Class: provider.Unavailable, Message: "the state directory can't be used", Err: err}
	}
	own, err := d.ownID()
	if err != nil {
		return "", &provider.Error{Class: provider.Unavailable, Message: "the state directory's identity can't be read", Err: err}
	}
	machine, _ := os.ReadFile("/etc/machine-id") // some systems have none
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(string(machine))))
	mac.Write([]byte("berth process provider "))
	mac.Write(own)
	return hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

// still is nil as long as the directory is the one of that identity. Another may have been
// put into its place in the middle of a verb.
func (d *stateDir) still(identity string) error {
	now, err := d.identity()
	if err == nil && now != identity {
		err = refusal(provider.Unavailable, "another state directory was put into the place of this one meanwhile")
	}
	return err
}

// ownID reads the id that is kept in the directory, and makes it where there is none. One
// that is damaged is an error: another in its place would make every sandbox a stranger's.
func (d *stateDir) ownID() ([]byte, error) {
	path := filepath.Join(d.path, fileIdentity)
	for {
		id, err := os.ReadFile(path)
		switch {
		case err == nil && len(id) != 32:
			return nil, fmt.Errorf("%s is damaged: it has %d bytes, and 32 were written", path, len(id))
		case !errors.Is(err, fs.ErrNotExist):
			return id, err
		}
		temp := path + "." + randomHex(4)
		if err := writeSynced(temp, []byte(randomHex(16))); err != nil {
			return nil, err
		}
		err = os.Link(temp, path) // whoever is first
		_ = os.Remove(temp)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
}

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// writeSynced writes a file that is on disk when it returns.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
