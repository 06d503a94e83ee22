//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// self is this program, as shims and inits can execute it. The init has the sandbox's user
// when it is executed, and a host keeps its plugins where nobody but itself may execute
// them. Where root's binary is of that kind, a copy without a name is executed: it is in
// the state directory's file system, and gone with the last process that uses it.
type self struct {
	dir string // the state directory

	mu   sync.Mutex
	copy *os.File
}

// exeLink is this process's program, whatever has become of its name.
const exeLink = "/proc/self/exe"

// path is what to execute. It holds until close.
func (s *self) path() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copy == nil {
		info, err := os.Stat(exeLink)
		if err != nil {
			return "", err
		}
		if os.Geteuid() != 0 || info.Mode().Perm()&0o005 == 0o005 {
			return exeLink, nil
		}
		if s.copy, err = copySelf(s.dir); err != nil {
			return "", fmt.Errorf("a copy of this program can't be made in %s: %w", s.dir, err)
		}
	}
	return fmt.Sprintf("/proc/self/fd/%d", s.copy.Fd()), nil
}

func (s *self) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copy != nil {
		s.copy.Close()
		s.copy = nil
	}
}

// copySelf makes a file without a name that everybody may execute. It is open for reading
// alone, because the system executes no file that is open for writing.
func copySelf(dir string) (*os.File, error) {
	from, err := os.Open(exeLink)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return nil, &os.PathError{Op: "O_TMPFILE", Path: dir, Err: err}
	}
	to := os.NewFile(uintptr(fd), "copy")
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Chmod(0o755) // whatever the umask
	}
	var out *os.File
	if err == nil {
		out, err = openHigh(fmt.Sprintf("/proc/self/fd/%d", fd))
	}
	return out, errors.Join(err, to.Close())
}

// openHigh opens a file at a descriptor that a child does not get something else at before
// it is executed.
func openHigh(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, leastFD)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

const leastFD = 64 // more than a shim begins with
