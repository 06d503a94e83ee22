package stage

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The sandbox's network has nothing but a loopback interface. The endpoint is a socket of
// the host's network that the shim listens on; for each connection the init, which is in
// the sandbox's network, dials the command and hands the connection over. The shim listens
// only when the command does: before that the endpoint refuses, as the command itself would.

// What the shim asks for, in a packet after the four bytes of its number. The answer
// bears the number; for a dial that was successful, the connection comes with it.
const (
	askListening = 'l' // answered when the command listens
	askDial      = 'd'
	askTerm      = 't' // SIGTERM to the command; not answered
)

const (
	dialFor  = 5 * time.Second
	pollMin  = 300 * time.Microsecond
	pollMax  = 20 * time.Millisecond
	maxConns = 4096 // carried at a time; more wait
)

// carrier is the shim's side.
type carrier struct {
	control *os.File

	mu      sync.Mutex
	last    uint32
	gone    bool
	waiting map[uint32]chan *os.File
}

// carry serves the endpoint until the sandbox is gone.
func (s *shim) carry(control *os.File) {
	c := &carrier{control: control, waiting: map[uint32]chan *os.File{}}
	go c.receive()
	c.ask(askListening)
	if err := unix.Listen(s.listener, 512); err != nil {
		note("the endpoint: %v", err)
		return
	}
	l, err := newSocket(s.listener, "listener")
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
	inside := c.ask(askDial)
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

// ask asks the init and waits for its answer: nil when there is no connection.
func (c *carrier) ask(kind byte) *os.File {
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
	if err := send(c.control, append(binary.BigEndian.AppendUint32(nil, id), kind), -1); err != nil {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		return nil
	}
	return <-answer
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
			if file != nil || n != 4 || !isTCP(fd) {
				unix.Close(fd)
				continue
			}
			file, _ = newSocket(fd, "inside")
		}
		if n != 4 {
			continue
		}
		id := binary.BigEndian.Uint32(buf)
		c.mu.Lock()
		answer := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if answer != nil {
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

// serveControl is the init's side. When the shim is gone, so is this process, and with it
// the sandbox.
func serveControl(port, command int) {
	c, err := newSocket(initControl, "control")
	if err != nil {
		os.Exit(1)
	}
	buf := make([]byte, 16)
	for {
		n, _, err := receive(c, buf)
		if err != nil || n == 0 {
			os.Exit(1)
		}
		if n != 5 {
			continue
		}
		id, kind := bytes.Clone(buf[:4]), buf[4]
		if kind == askTerm {
			_ = syscall.Kill(command, syscall.SIGTERM)
			continue
		}
		go func() {
			switch kind {
			case askListening:
				awaitListening(port)
				_ = send(c, id, -1)
			case askDial:
				answerDial(c, id, port)
			}
		}()
	}
}

func answerDial(c *os.File, id []byte, port int) {
	ctx, cancel := context.WithTimeout(context.Background(), dialFor)
	defer cancel()
	conn, err := dial(ctx, port)
	if err != nil {
		_ = send(c, id, -1)
		return
	}
	defer conn.Close()
	control(conn, func(fd int) { _ = send(c, id, fd) })
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
