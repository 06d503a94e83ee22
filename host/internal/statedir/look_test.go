package statedir_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/statedir"
)

// Look tells what Open would find, and makes nothing.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if s := statedir.Look(path, ""); s != (statedir.Sight{}) {
		t.Errorf("nothing is there: %+v", s)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made")
	}
	h := hold(t, path)
	s := statedir.Look(path, "")
	if !s.Exists || !s.Held || s.PID != h.cmd.Process.Pid || s.Refuse != nil || "open "+s.Owner != h.first {
		t.Errorf("a host lives there: %+v, %s", s, h.first)
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.cmd.Wait()
	if now := statedir.Look(path, ""); now.Held || now.PID != 0 || now.Owner != s.Owner || !now.Exists {
		t.Errorf("it was killed: %+v", now)
	}
	owner := filepath.Join(path, "owner")
	if err := os.WriteFile(owner, []byte("a b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := statedir.Look(path, ""); s.Refuse == nil || !strings.Contains(s.Refuse.Error(), `holds "a b", which is no owner id`) || s.Owner != "" {
		t.Errorf("a bad owner: %+v", s)
	}
	if s := statedir.Look(path, "me"); s.Refuse != nil {
		t.Errorf("a bad owner that nobody reads: %+v", s)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if s := statedir.Look(path, "me"); s.Refuse == nil || !strings.Contains(s.Refuse.Error(), "has mode 0755") {
		t.Errorf("an open directory: %+v", s)
	}
}

// Whoever looks keeps no host from starting: it waits for the moment that a look takes.
func TestLookKeepsNobodyOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	open(t, path, "").Close()
	looker, err := os.Open(filepath.Join(path, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer looker.Close()
	if err := syscall.Flock(int(looker.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if s := statedir.Look(path, ""); s.Held {
		t.Errorf("one who looks is taken for a host: %+v", s)
	}
	freed := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() { freed <- syscall.Flock(int(looker.Fd()), syscall.LOCK_UN) })
	d, err := statedir.Open(path, "")
	if err != nil {
		t.Error(err)
	} else if s := statedir.Look(path, ""); !s.Held || s.PID != os.Getpid() {
		t.Errorf("the host that waited: %+v", s)
	} else if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-freed; err != nil {
		t.Error(err)
	}
}
