package control

import (
	"io"
	"math"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// TestConnections wants the bound below half of the descriptors, and never none.
func TestConnections(t *testing.T) {
	for files, want := range map[uint64]int{0: 1, 2: 1, 4: 1, 256: 127, 1024: 511, 8192: 4095, 8194: 4096, 1 << 20: 4096, math.MaxUint64: 4096} {
		if got := connectionsOf(files); got != want {
			t.Errorf("of %d descriptors: %d, want %d", files, got, want)
		}
	}
	if n := connections(); n < 1 || n > maxConnections {
		t.Errorf("%d", n)
	}
}

// TestServeIsLimited wants one connection more than the bound to wait until another has
// ended, and serving to end though it is full.
func TestServeIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := piped(t, http.NotFoundHandler())
		var open []net.Conn
		for range connections() {
			open = append(open, l.dial())
		}
		more := make(chan net.Conn, 1)
		go func() { more <- l.dial() }()
		synctest.Wait()
		if len(more) > 0 {
			t.Error("one more than the bound is accepted")
		}
		open[0].Close()
		conn := <-more
		if status, _ := exchange(t, conn, "GET / HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n"); status != 404 {
			t.Errorf("the one that waited gets %d", status)
		}
		io.Copy(io.Discard, conn)
		conn.Close()
		stop()
		for _, c := range open {
			c.Close()
		}
	})
}

// TestFullListenerCloses wants an Accept that waits for a slot to end with Close.
func TestFullListenerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		l := limit(p, 1)
		go func() { p.dial() }()
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-ended; err != net.ErrClosed {
			t.Error(err)
		}
		first.Close()
		first.Close() // gives its slot back once
		if len(l.slots) != 0 {
			t.Error("a slot is lost")
		}
	})
}
