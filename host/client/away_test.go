package client

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
)

// The socket of another user. Who runs the tests may be one to whom nothing is denied.
func TestPermissionDenied(t *testing.T) {
	err := error(&awayError{where: "/run/berth.sock", socket: true,
		err: &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}})
	want := "the socket /run/berth.sock is not for this user: permission denied; call as the user that the host runs as"
	if err.Error() != want || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
