package e2e

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a unix socket that leads to a daemon: to another one after lead, to none after
// cut. It is what a plugin takes for the daemon's socket.
type gate struct {
	t    testing.TB
	path string

	mu       sync.Mutex
	target   string        // "unix:///…" or "tcp://…"
	silent   bool          // accepts, and never answers
	delay    time.Duration // of each piece that passes
	listener net.Listener
	conns    map[net.Conn]struct{}
	work     sync.WaitGroup
}

// newGate opens a gate to a daemon. It ends with the test.
func newGate(s *site, target string) *gate {
	g := &gate{t: s.t, path: s.path("gate.sock"), conns: map[net.Conn]struct{}{}}
	g.lead(target)
	s.t.Cleanup(func() {
		g.cut()
		g.work.Wait()
	})
	return g
}

// cut takes the socket away and cuts every connection: the daemon is down.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutLocked()
}

func (g *gate) cutLocked() {
	if g.listener != nil {
		g.listener.Close()
		os.Remove(g.path)
		g.listener = nil
	}
	for c := range g.conns {
		c.Close()
	}
	clear(g.conns)
}

// lead cuts every connection; new ones lead to target.
func (g *gate) lead(target string) { g.open(target, false, 0) }

// hush cuts every connection; new ones are accepted and get no answer: the daemon hangs.
func (g *gate) hush() { g.open("", true, 0) }

func (g *gate) open(target string, silent bool, delay time.Duration) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutLocked()
	l, err := net.Listen("unix", g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	g.target, g.silent, g.delay, g.listener = target, silent, delay, l
	g.work.Go(func() { g.accept(l) })
}

func (g *gate) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		if g.listener != l {
			g.mu.Unlock()
			c.Close()
			return
		}
		g.conns[c] = struct{}{}
		target, silent, delay := g.target, g.silent, g.delay
		g.mu.Unlock()
		if !silent {
			g.work.Go(func() { g.pass(c, target, delay) })
		}
	}
}

// pass copies both ways until one side ends.
func (g *gate) pass(c net.Conn, target string, delay time.Duration) {
	defer c.Close()
	network, address, _ := strings.Cut(target, "://")
	d, err := net.Dial(network, address)
	if err != nil {
		return
	}
	g.mu.Lock()
	g.conns[d] = struct{}{}
	g.mu.Unlock()
	var work sync.WaitGroup
	work.Go(func() { defer d.Close(); io.Copy(d, late{c, delay}) })
	io.Copy(c, late{d, delay})
	c.Close()
	work.Wait()
	g.mu.Lock()
	delete(g.conns, c)
	delete(g.conns, d)
	g.mu.Unlock()
}

// late is a reader whose pieces come after a delay.
type late struct {
	io.Reader
	delay time.Duration
}

func (l late) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.delay > 0 {
		<-time.After(l.delay)
	}
	return n, err
}
