package client_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"

	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host/client"
)

// TestHungHost wants a call to end in some 15 s when a host is there and hangs, as one does
// that was stopped by a signal.
func TestHungHost(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "berth.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(io.Discard, conn) // until the client gives up
			conn.Close()
		}
	}()
	defer func() { l.Close(); <-served }()
	c := client.New(socket)
	defer c.Close()
	begun := time.Now()
	_, err = c.Get(t.Context(), uuid.NewString())
	if took := time.Since(begun); took < 10*time.Second || took > 25*time.Second || !errors.Is(err, client.CodeUnavailable) || !strings.Contains(err.Error(), "has not answered for 15s") {
		t.Errorf("after %v: %v", took, err)
	}
}
