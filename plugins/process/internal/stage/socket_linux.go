package stage

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets by system calls and the runtime's poller. The net package does the same, but its
// start comes after that of nearly all of the plugin's packages, and a shim would pay for
// them before it begins.

// newSocket makes a file of a non-blocking socket.
func newSocket(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// reading calls f, and again whenever f is readable, until it is not told to wait.
func reading(s *os.File, f func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Read(func(fd uintptr) bool {
		result = f(int(fd))
		return !again(result)
	})
	return errors.Join(err, result)
}

// writing is reading for what is writable.
func writing(s *os.File, f func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		result = f(int(fd))
		return !again(result)
	})
	return errors.Join(err, result)
}

func again(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// accept takes the next connection of a listening socket.
func accept(listener *os.File) (*os.File, error) {
	var conn int
	err := reading(listener, func(fd int) (err error) {
		conn, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if errors.Is(err, unix.ECONNABORTED) {
			err = unix.EINTR // it left while it waited
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(conn, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return os.NewFile(uintptr(conn), "outside"), nil
}

// dial connects to the command, by IPv4 and else by IPv6.
func dial(ctx context.Context, port int) (*os.File, error) {
	conn, err := dialTo(ctx, unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	return dialTo(ctx, unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}})
}

func dialTo(ctx context.Context, family int, to unix.Sockaddr) (*os.File, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, to)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	conn := os.NewFile(uintptr(fd), "inside")
	if err == nil {
		return conn, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = writing(conn, func(fd int) error {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
			return unix.EAGAIN
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		return err
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// closeWrite tells the other side that nothing more comes.
func closeWrite(conn *os.File) {
	control(conn, func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) })
}

// reset has the coming close refuse the connection.
func reset(conn *os.File) {
	control(conn, func(fd int) { _ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) })
}

func control(f *os.File, do func(fd int)) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}

// send sends one packet, with a descriptor where fd is not negative.
func send(s *os.File, packet []byte, pass int) error {
	var rights []byte
	if pass >= 0 {
		rights = unix.UnixRights(pass)
	}
	return writing(s, func(fd int) error { return unix.Sendmsg(fd, packet, rights, nil, unix.MSG_NOSIGNAL) })
}

// receive takes one packet, and what descriptors came with it; n is 0 at the end.
func receive(s *os.File, buf []byte) (n int, fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(4*4))
	var m int
	err = reading(s, func(fd int) (err error) {
		n, m, _, _, err = unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil {
		return n, nil, nil
	}
	for i := range messages {
		if more, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, more...)
		}
	}
	return n, fds, nil
}

// isTCP reports whether a descriptor is a connected TCP socket.
func isTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_TCP
}
