package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// stale leaves a socket that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// answers tells whether somebody listens.
func answers(path string) error {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	return err
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListen(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := shortDir(t)
	path := filepath.Join(dir, "a", "b", "berth.sock")
	l := listen(t, path)
	if l.Addr().String() != path || l.Addr().Network() != "unix" {
		t.Errorf("it listens at %v", l.Addr())
	}
	for p, want := range map[string]fs.FileMode{
		path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700, filepath.Join(dir, "a"): fs.ModeDir | 0o700,
	} {
		if info, err := os.Lstat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", p, info.Mode(), err, want)
		}
	}
	if err := answers(path); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestListenTightUmask wants the mode whatever the umask.
func TestListenTightUmask(t *testing.T) {
	path := filepath.Join(shortDir(t), "berth.sock")
	old := syscall.Umask(0o277)
	l, err := Listen(path)
	syscall.Umask(old)
	if os.Geteuid() != 0 && err != nil {
		t.Skipf("not root, and the umask forbids the directory: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestListenReplacesADeadSocket(t *testing.T) {
	for _, mode := range []fs.FileMode{0o700, 0o755} {
		dir := shortDir(t)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "berth.sock")
		stale(t, path)
		if err := os.Mkdir(filepath.Join(dir, private), 0o700); err != nil { // of one that died while it began
			t.Fatal(err)
		}
		stale(t, filepath.Join(dir, private, unnamed))
		if mode == 0o700 {
			stale(t, filepath.Join(dir, closed))
		}
		l := listen(t, path)
		if err := answers(path); err != nil {
			t.Error(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("in a directory of mode %v: %v, %v", mode, info.Mode(), err)
		}
		if now, _ := os.ReadDir(dir); len(now) != 1 {
			t.Errorf("beside it: %v", now)
		}
		l.Close()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// A full disk has no room for a directory, and needs none where the socket's own is private.
func TestListenWithoutRoomForADirectory(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	dir := shortDir(t)
	if err := smalldisk.Mount(dir, "nr_inodes=10"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { smalldisk.Unmount(dir) })
	if err := smalldisk.FillNames(dir, 1); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "berth.sock")
	for range 2 {
		l := listen(t, path)
		if err := answers(path); err != nil {
			t.Error(err)
		}
		l.Close()
	}
}

func TestListenRefuses(t *testing.T) {
	dir := shortDir(t)
	held := filepath.Join(dir, "held.sock")
	listen(t, held)
	file := filepath.Join(dir, "file.sock")
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.sock")
	dead := filepath.Join(dir, "dead.sock")
	stale(t, dead)
	if err := os.Symlink(dead, link); err != nil {
		t.Fatal(err)
	}
	datagram := filepath.Join(dir, "dgram.sock")
	d, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagram, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	long := filepath.Join(dir, strings.Repeat("x", longest))
	for _, c := range []struct{ path, want string }{
		{held, fmt.Sprintf("%s is in use by the process with pid %d; end that one, or choose another path", held, os.Getpid())},
		{file, file + " is there and is no socket (-rw-r--r--); remove it, or choose another path"},
		{dir, "is there and is no socket (d"},
		{link, "is there and is no socket (L"},
		{datagram, "whether it is in use can't be told"},
		{long, fmt.Sprintf("is %d bytes long, and the system allows %d; choose a shorter path", len(long), longest)},
		{filepath.Join(file, "berth.sock"), "not a directory"},
	} {
		before, _ := os.Lstat(c.path)
		l, err := Listen(c.path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "control.socket: ") {
			t.Errorf("%s: %v, want %s", c.path, err, c.want)
		}
		if after, _ := os.Lstat(c.path); before != nil && !os.SameFile(before, after) {
			t.Errorf("%s was replaced", c.path)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	if err := answers(held); err != nil {
		t.Errorf("the one that was there: %v", err)
	}
}

// TestListenAtTheLimit wants the longest path that is allowed to work.
func TestListenAtTheLimit(t *testing.T) {
	for _, mode := range []fs.FileMode{0o700, 0o755} {
		dir := shortDir(t)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, strings.Repeat("x", longest-len(dir)-1))
		listen(t, path)
		if err := answers(path); err != nil {
			t.Error(err)
		}
		deep := filepath.Join(dir, strings.Repeat("y", longest-len(dir)-len("/")-len("/berth.sock")), "berth.sock")
		listen(t, deep)
		if err := answers(deep); err != nil || len(deep) != longest {
			t.Errorf("%d bytes: %v", len(deep), err)
		}
	}
}

// TestListenRace wants one of many, in each round.
func TestListenRace(t *testing.T) {
	path := filepath.Join(shortDir(t), "berth.sock")
	for range 20 {
		stale(t, path)
		var all sync.WaitGroup
		var mu sync.Mutex
		var won []net.Listener
		for range 8 {
			all.Go(func() {
				l, err := Listen(path)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, l)
				} else if !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d listen", len(won))
		}
		if err := answers(path); err != nil {
			t.Fatal(err)
		}
		won[0].Close()
	}
}

// TestCloseLeavesAnothersSocket wants what took a socket's place left alone.
func TestCloseLeavesAnothersSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "berth.sock")
	l := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := answers(path); err != nil {
		t.Errorf("the other one: %v", err)
	}
	alone := filepath.Join(shortDir(t), "d", "berth.sock")
	l = listen(t, alone)
	if err := os.RemoveAll(filepath.Dir(alone)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("without its directory: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it still accepts: %v", err)
	}
}
