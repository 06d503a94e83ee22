package e2e

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// await waits for a condition, and fails the test when it does not come true in time.
func await(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	if !eventually(within, ok) {
		t.Fatalf("after %v it is not so that %s", within, what)
	}
}

// eventually looks at a condition every few milliseconds, and reports whether it came true
// in time.
func eventually(within time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return ok()
		}
	}
	return true
}

// holds checks that a condition stays true until a time.
func holds(t testing.TB, until time.Time, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; time.Now().Before(until); <-tick.C {
		if !ok() && time.Now().Before(until) { // what ends while it is asked about is no failure
			t.Fatalf("%v before %s it is no longer so that %s", time.Until(until), until.Format(time.StampMilli), what)
		}
	}
}

// lines keeps what a process prints. It may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// wantWords fails unless text has every word.
func wantWords(t testing.TB, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
}
