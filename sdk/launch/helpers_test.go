package launch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

func itoa(n int) string { return strconv.Itoa(n) }

func configure(t *testing.T, p *launch.Process, config string) {
	t.Helper()
	_, err := p.Plugin().Configure(t.Context(), provider.ConfigureRequest{Config: []byte(config), Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
}

// groupGone reports whether no process of the group lives.
func groupGone(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if ok && len(fields) > 2 && fields[2] == itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			return false
		}
	}
	return true
}

// checkFails starts a plugin that can't start, checks reason and words, and that nothing
// is left of it.
func checkFails(t *testing.T, ctx context.Context, o launch.Options, reason launch.Reason, words ...string) {
	t.Helper()
	begun := time.Now()
	p, err := launch.Start(ctx, o)
	if err == nil {
		shut(t, p)
		t.Fatal("it started")
	}
	t.Logf("after %s: %v", time.Since(begun).Round(time.Millisecond), err)
	var e *launch.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("reason: got %v, want %s", err, reason)
	}
	for _, w := range append(words, o.Name) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q", w)
		}
	}
	if left, err := os.ReadDir(o.RunDir); err == nil && len(left) != 0 {
		t.Errorf("left in the run directory: %v", left)
	}
}
