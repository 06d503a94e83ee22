package stage

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The sandbox's network has nothing but a loopback interface. The endpoint is a socket of
// the host's network that the shim listens on; for each connection the init, which is in
// the sandbox's network, dials the command, and the shim takes that connection out of it.
// The shim listens only when the command does: before that the endpoint refuses, as the
// command itself would.
//
// It takes connections by pidfd_getfd(2), and is not sent them, because of what is sent the
// kernel keeps count: by user of the host, for all sandboxes together, and whose limit is
// reached can send no more. See unix(7) for ETOOMANYREFS, and too_many_unix_fds in
// net/unix/af_unix.c. One sandbox could fill that for all. Where the kernel doesn't let the
// shim take (ptrace_scope 3 of Yama, the rules of a container), it has the init send.

// What the shim asks for, in a packet after the four bytes of its number. The answer to the
// first three bears the number. That to a dial which was successful bears also the number
// of the connection's descriptor in the init, which keeps it open until it is asked to
// close or to send it.
const (
	askListening = 'l' // answered when the command listens
	askDial      = 'd'
	askSend      = 's' // the connection of the dial with this number, in the answer
	askClose     = 'c' // the same; not answered
	askTerm      = 't' // SIGTERM to the command; not answered
)

const (
	dialFor  = 5 * time.Second
	askFor   = 2 * dialFor // an init that has not answered by then won't
	pollMin  = 300 * time.Microsecond
	pollMax  = 20 * time.Millisecond
	maxConns = 4096 // carried at a time; more wait
)

// carrier is the shim's side.
type carrier struct {
	control *os.File
	init    int // pidfd; -1 where the init is to send

	mu      sync.Mutex
	last    uint32
	gone    bool
	waiting map[uint32]chan *os.File
}

// newCarrier begins to listen to the init. A shim that is root must still be able to change
// its user then.
func (s *shim) newCarrier(control *os.File) *carrier {
	c := &carrier{control: control, init: -1, waiting: map[uint32]chan *os.File{}}
	if s.blank.on(Taken) {
		if fd, err := unix.PidfdOpen(s.init, 0); err == nil {
			c.init = fd
		}
	}
	begun := make(chan struct{})
	go func() {
		if s.blank.owned() {
			runtime.LockOSThread()      // for ever: this thread alone is the owner, who may take
			_ = become(s.blank.owner()) // or else the namespace is root's, too
		}
		close(begun)
		c.receive()
	}()
	<-begun
	return c
}

// carry serves the endpoint, a socket that is bound, until the sandbox is gone.
func (c *carrier) carry(endpoint int) {
	c.ask(askListening, math.MaxInt64)
	if err := unix.Listen(endpoint, 512); err != nil {
		note("the endpoint: %v", err)
		return
	}
	l, err := newSocket(endpoint, "listener")
	if err != nil {
		note("the endpoint: %v", err)
		return
	}
	slots := make(chan struct{}, maxConns)
	for {
		slots <- struct{}{}
		conn, err := accept(l)
		if err != nil {
			note("the endpoint: %v", err)
			time.Sleep(pollMax) // out of descriptors, most likely
			<-slots
			continue
		}
		go func() {
			defer func() { <-slots }()
			c.serve(conn)
		}()
	}
}

// serve carries one connection. Each direction ends by itself.
func (c *carrier) serve(outside *os.File) {
	defer outside.Close()
	inside := c.ask(askDial, askFor)
	if inside == nil {
		reset(outside) // refused inside: reset outside
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Go(func() {
		pump(inside, outside)
		closeWrite(inside)
	})
	pump(outside, inside)
	closeWrite(outside)
	both.Wait()
}

// pump copies until the end of from, or until either breaks.
func pump(to, from *os.File) {
	// Files try what suits files first; connections do not.
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
}

// ask asks the init and waits for its answer, for so long: nil when there is no connection.
func (c *carrier) ask(kind byte, patience time.Duration) *os.File {
	answer := make(chan *os.File, 1)
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return nil
	}
	c.last++
	id := c.last
	c.waiting[id] = answer
	c.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	if c.tell(id, kind) == nil {
		select {
		case file := <-answer:
			return file
		case <-late.C:
		}
	}
	if c.wanted(id) == nil {
		return <-answer // just now
	}
	return nil
}

// tell sends the init a packet.
func (c *carrier) tell(id uint32, kind byte) error {
	return send(c.control, append(number(id), kind), -1)
}

// wanted is where the answer to id is waited for, and nil when nobody waits. It is forgotten.
func (c *carrier) wanted(id uint32) chan *os.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.waiting[id]
	delete(c.waiting, id)
	return answer
}

// receive hands the answers out. What the init sends is not trusted: a descriptor that
// nobody asked for is closed, and what is no TCP connection is not carried.
func (c *carrier) receive() {
	buf := make([]byte, 16)
	for {
		n, fds, err := receive(c.control, buf)
		if err != nil || n == 0 {
			break
		}
		var file *os.File
		for _, fd := range fds {
			if file != nil || n != 4 {
				unix.Close(fd)
				continue
			}
			file = inside(fd)
		}
		if n != 4 && n != 8 {
			continue
		}
		id := binary.BigEndian.Uint32(buf)
		if n == 8 {
			fd, err := c.take(int(binary.BigEndian.Uint32(buf[4:])))
			if err != nil {
				_ = c.tell(id, askSend)
				continue
			}
			_ = c.tell(id, askClose)
			file = inside(fd)
		}
		if answer := c.wanted(id); answer != nil {
			answer <- file
		} else if file != nil {
			file.Close()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for id, answer := range c.waiting {
		delete(c.waiting, id)
		answer <- nil
	}
}

// take takes a copy of a descriptor out of the init. The right to it comes with the user
// namespace, which belongs to the effective user of this thread; see user_namespaces(7).
func (c *carrier) take(fd int) (int, error) {
	if c.init < 0 {
		return -1, unix.ENOSYS
	}
	return unix.PidfdGetfd(c.init, fd, 0)
}

// CantTake tells why no descriptor can be taken out of a process that this one has made; nil
// when one can. It asks for one of its own, which Yama always grants, and Yama's setting.
func CantTake() error {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(self)
	copied, err := unix.PidfdGetfd(self, self, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	unix.Close(copied)
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(scope)) == "3" {
		return errors.New("kernel.yama.ptrace_scope is 3")
	}
	return nil
}

// inside makes a file of a connection to the command; nil, and closed, if it is something else.
func inside(fd int) *os.File {
	if !isTCP(fd) {
		unix.Close(fd)
		return nil
	}
	file, _ := newSocket(fd, "inside")
	return file
}

// dialled are the init's connections that the shim has yet to take, by the dials' numbers.
type dialled struct {
	mu   sync.Mutex
	open map[uint32]*os.File
}

func (d *dialled) put(id uint32, conn *os.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[id] = conn
}

// remove returns a connection, which is the caller's from then on; nil if there is none.
func (d *dialled) remove(id uint32) *os.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	conn := d.open[id]
	delete(d.open, id)
	return conn
}

// serveControl is the init's side. When the shim is gone, so is this process, and with it
// the sandbox.
func serveControl(port, command int) {
	c, err := newSocket(initControl, "control")
	if err != nil {
		os.Exit(1)
	}
	conns := &dialled{open: map[uint32]*os.File{}}
	buf := make([]byte, 16)
	for {
		n, _, err := receive(c, buf)
		if err != nil || n == 0 {
			os.Exit(1)
		}
		if n != 5 {
			continue
		}
		id := binary.BigEndian.Uint32(buf)
		switch buf[4] {
		case askTerm:
			_ = syscall.Kill(command, syscall.SIGTERM)
		case askClose:
			if conn := conns.remove(id); conn != nil {
				conn.Close()
			}
		case askListening:
			go func() {
				awaitListening(port)
				_ = send(c, number(id), -1)
			}()
		case askDial:
			go conns.answerDial(c, id, port)
		case askSend:
			go conns.answerSend(c, id)
		}
	}
}

// number is how a packet begins.
func number(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id) }

func (d *dialled) answerDial(c *os.File, id uint32, port int) {
	ctx, cancel := context.WithTimeout(context.Background(), dialFor)
	defer cancel()
	conn, err := dial(ctx, port)
	if err != nil {
		_ = send(c, number(id), -1)
		return
	}
	d.put(id, conn)
	control(conn, func(fd int) { err = send(c, binary.BigEndian.AppendUint32(number(id), uint32(fd)), -1) })
	if err != nil {
		if conn := d.remove(id); conn != nil {
			conn.Close()
		}
	}
}

// answerSend sends a connection. One that the kernel doesn't let it send is none: whoever
// waits must be told.
func (d *dialled) answerSend(c *os.File, id uint32) {
	err := error(unix.EBADF)
	if conn := d.remove(id); conn != nil {
		control(conn, func(fd int) { err = send(c, number(id), fd) })
		conn.Close()
	}
	if err != nil {
		_ = send(c, number(id), -1)
	}
}

// awaitListening returns when the command listens on port, which is found out by connecting
// and nothing else: what the kernel's tables tell costs a walk through all of the host's.
func awaitListening(port int) {
	for wait := pollMin; ; wait = min(wait*9/8, pollMax) {
		ctx, cancel := context.WithTimeout(context.Background(), dialFor)
		conn, err := dial(ctx, port)
		cancel()
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(wait)
	}
}
