package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

func init() {
	// writer puts records from several goroutines and prints the id of each that was
	// acknowledged, until it is killed.
	children["writer"] = func(path string) error {
		s, err := Open(context.Background(), path, Options{})
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d", w, i)
					if err := s.Put(context.Background(), record(id)); err != nil {
						fmt.Println("error", err)
						return
					}
					mu.Lock()
					fmt.Println(id)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return s.Close()
	}
}

// Promise 3: what was acknowledged survives kill -9.
func TestPromise3AcknowledgedWritesSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	acked := map[string]bool{}
	for range 3 {
		cmd := childCommand(t, "writer", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 40 && lines.Scan(); n++ {
			acked[lines.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		for lines.Scan() { // what it said before it died was promised as well
			acked[lines.Text()] = true
		}
		cmd.Wait()
		s := openAt(t, path, Options{})
		if s.Damaged() != "" {
			t.Fatalf("a kill has damaged the file: %s", s.Damaged())
		}
		recs, err := s.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		have := map[string]bool{}
		for _, rec := range recs {
			have[rec.SessionID] = true
		}
		for id := range acked {
			if !have[id] {
				t.Errorf("%q was acknowledged and is gone", id)
			}
		}
	}
	if len(acked) < 40 {
		t.Errorf("only %d writes were acknowledged", len(acked))
	}
}

func TestALockedFileIsRefusedAndFreeAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	cmd := childCommand(t, "writer", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() { defer close(drained); io.Copy(io.Discard, lines) }()

	_, err = Open(t.Context(), path, Options{LockTimeout: 50 * time.Millisecond})
	if !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "another process has the file open, still after 50ms") ||
		!strings.Contains(err.Error(), "stop the other host, or give this one a state_dir of its own") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, path, Options{LockTimeout: time.Hour}); !errors.Is(err, provider.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-drained
	cmd.Wait()
	if s := openAt(t, path, Options{}); s.Damaged() != "" {
		t.Errorf("moved to %s", s.Damaged())
	}
}
