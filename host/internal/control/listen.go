package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// longest is how many bytes the path of a unix socket may have: sun_path without its
// final zero.
const longest = len(syscall.RawSockaddrUnix{}.Path) - 1

// While it is made, a socket is called private/unnamed, beside its place; or closed, where
// its directory is private itself.
const (
	private = ".berth.d"
	unnamed = "s"
	closed  = ".berth.s"
)

// Listen listens on a unix socket that only this user may use, from its first moment. A
// missing directory is made with mode 0700. A socket that nobody listens on is replaced.
// Of many that listen at once, one does. Close removes the socket, unless another has
// taken its place.
//
// Errors: somebody listens (its pid is named), what is there is no socket and is left
// alone, the path is too long, the directory can't be used.
func Listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	most := longest - max(0, len("/"+private+"/"+unnamed)-len("/"+filepath.Base(path)))
	if len(path) > most {
		return nil, fmt.Errorf("control.socket: %s is %d bytes long, and the system allows %d; choose a shorter path", path, len(path), most)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("control.socket: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("control.socket: %w", err)
	}
	defer unlock()
	if err := vacant(path); err != nil {
		return nil, err
	}
	l, err := take(path, dir)
	if err != nil {
		return nil, fmt.Errorf("control.socket: %w", err)
	}
	return l, nil
}

// vacant is nil when the path may be taken: nothing is there, or a socket of the dead.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("control.socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("control.socket: %s is there and is no socket (%s); remove it, or choose another path", path, info.Mode())
	}
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	switch {
	case err == nil:
		defer conn.Close()
		holder := "a process whose pid can't be told"
		if pid := peer(conn.(*net.UnixConn)); pid > 0 {
			holder = fmt.Sprintf("the process with pid %d", pid)
		}
		return fmt.Errorf("control.socket: %s is in use by %s; end that one, or choose another path", path, holder)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("control.socket: %s is there, and whether it is in use can't be told: %w; remove it, or choose another path", path, err)
}

// take binds a socket where nobody else can enter, and moves it to its place when it is
// closed to others. dir is the directory of path, and locked. One that is private will do as
// it is: another directory needs room, which a full disk has not.
func take(path, dir string) (_ net.Listener, err error) {
	place, at := filepath.Join(dir, private), filepath.Join(dir, private, unnamed)
	own := isPrivate(dir)
	left := []string{at}
	if own {
		at = filepath.Join(dir, closed)
		left = append(left, at)
	}
	// One that died here has left them. Rmdir and Unlink take away nothing else.
	for _, name := range left {
		if err := syscall.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return nil, fmt.Errorf("%s is in the way: %w", name, err)
		}
	}
	if err := syscall.Rmdir(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is in the way: %w", place, err)
	}
	if !own {
		if err := os.Mkdir(place, 0o700); err != nil {
			return nil, err
		}
		defer os.Remove(place)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it knows the wrong path
	defer func() {
		if err != nil {
			l.Close()
			os.Remove(at)
		}
	}()
	if err := os.Chmod(at, 0o600); err != nil {
		return nil, err
	}
	made, err := os.Lstat(at)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(at, path); err != nil {
		return nil, err
	}
	return &listener{UnixListener: l, path: path, own: made}, nil
}

// isPrivate reports whether nobody but this user can enter a directory.
func isPrivate(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && int(stat.Uid) == os.Geteuid()
}

// listener is a socket that is removed when it is closed.
type listener struct {
	*net.UnixListener
	path string
	own  os.FileInfo

	once sync.Once
	err  error
}

// Addr is where clients find it.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Accept names the socket as clients know it when it fails.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.UnixListener.Accept()
	var op *net.OpError
	if errors.As(err, &op) {
		op.Addr = l.Addr()
	}
	return conn, err
}

// Close removes the socket if it is still this one, and stops listening.
func (l *listener) Close() error {
	l.once.Do(func() { l.err = errors.Join(l.remove(), l.UnixListener.Close()) })
	return l.err
}

// remove comes before the close: while the socket is open its inode is no other's.
func (l *listener) remove() error {
	unlock, err := lockDir(filepath.Dir(l.path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // and the socket with it
	} else if err != nil {
		return fmt.Errorf("control.socket: %w", err)
	}
	defer unlock()
	if now, err := os.Lstat(l.path); err != nil || !os.SameFile(now, l.own) {
		return nil
	}
	return os.Remove(l.path)
}

// lockDir locks a directory against other listeners, which hold it for a moment only.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		<-tick.C
	}
	f.Close()
	return nil, fmt.Errorf("%s can't be locked (%w); is another program holding a lock on it?", dir, err)
}
