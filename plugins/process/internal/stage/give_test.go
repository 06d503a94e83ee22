//go:build linux

package stage

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sockets are two ends of a stream, the first for Give, the second for take.
func sockets(t *testing.T) (*os.File, int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := newSocket(pair[0], "ours")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); unix.Close(pair[1]) })
	return ours, pair[1]
}

// A value that is larger than a socket's buffer arrives with more descriptors than one
// message takes, and what follows it is not touched.
func TestGive(t *testing.T) {
	ours, theirs := sockets(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	pass := make([]int, 2*maxRights+1)
	for i := range pass {
		pass[i] = int(null.Fd())
	}
	big := strings.Repeat("x", 1<<20)
	sent := make(chan error, 1)
	go func() { sent <- errors.Join(Give(ours, big, pass...), Give(ours, "small"), ours.Close()) }()
	for i, want := range []struct {
		text string
		fds  int
	}{{big, len(pass)}, {"small", 0}} {
		var got string
		fds, err := take(theirs, &got)
		if err != nil || got != want.text || len(fds) != want.fds {
			t.Errorf("%d: %d bytes, %d descriptors, %v", i, len(got), len(fds), err)
		}
		for _, fd := range fds {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %d, %v", fd, flags, err)
			}
			unix.Close(fd)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := take(theirs, new(string)); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// An order of which the plugin has died is no order, and no end either.
func TestTakeHalf(t *testing.T) {
	ours, theirs := sockets(t)
	if _, err := ours.Write([]byte{0, 0, 0, 9, '"'}); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if _, err := take(theirs, new(string)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a value: %v", err)
	}
}
