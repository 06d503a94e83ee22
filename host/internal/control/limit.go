package control

import (
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// maxConnections bounds the connections at once, whatever the system allows.
const maxConnections = 4096

// connections is how many connections at once leave the host as many descriptors for
// itself.
func connections() int {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return connectionsOf(1024) // what systems give at least
	}
	return connectionsOf(files.Cur)
}

// connectionsOf is below half of the descriptors that a process may have, and at least 1.
func connectionsOf(files uint64) int {
	half := min(files/2, maxConnections+1)
	return max(int(half)-1, 1)
}

// limited accepts no more connections while there are as many as it has slots. The
// others wait in the system's queue. x/net's LimitListener hides CloseWrite, without
// which net/http can't let a client read the answer to a body that was not read.
type limited struct {
	net.Listener
	slots chan struct{} // full: so many are open
	done  chan struct{} // closed by Close
	once  sync.Once
}

func limit(l net.Listener, most int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, most), done: make(chan struct{})}
}

// Accept waits for a slot, and then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slot{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close also ends an Accept that waits for a slot.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// slot is a connection that has a slot until it is closed.
type slot struct {
	net.Conn
	free func()
}

// Close gives the slot back.
func (s *slot) Close() error {
	defer s.free()
	return s.Conn.Close()
}

// CloseWrite tells the other end that nothing more comes.
func (s *slot) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}
