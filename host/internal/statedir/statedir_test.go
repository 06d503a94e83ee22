package statedir_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host/internal/statedir"
)

// holder is what this test binary does instead of testing when a test starts it again:
// it opens a directory, says so, and keeps it until its input ends; or it looks at one.
func TestMain(m *testing.M) {
	if path := os.Getenv("STATEDIR_TEST_LOOK"); path != "" {
		fmt.Println(statedir.Look(path, "").Unwritable)
		os.Exit(0)
	}
	if path := os.Getenv("STATEDIR_TEST_PATH"); path != "" {
		d, err := statedir.Open(path, "")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("open", d.Owner())
		io.Copy(io.Discard, os.Stdin)
		d.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type holder struct {
	cmd   *exec.Cmd
	in    io.Closer
	first string // line of its output
}

func hold(t *testing.T, path string) *holder {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{cmd: exec.CommandContext(t.Context(), exe)}
	h.cmd.Env = append(os.Environ(), "STATEDIR_TEST_PATH="+path)
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.in.Close(); h.cmd.Wait() })
	h.first, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	h.first = strings.TrimSpace(h.first)
	return h
}

func open(t *testing.T, path, owner string) *statedir.Dir {
	t.Helper()
	d, err := statedir.Open(path, owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func TestANewDirectoryIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state")
	d := open(t, path, "")
	for name, want := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, "../": fs.ModeDir | 0o700, "lock": 0o600, "owner": 0o600} {
		if got := mode(t, filepath.Join(path, name)); got != want {
			t.Errorf("%q has mode %v", name, got)
		}
	}
	if d.Leases() != filepath.Join(path, "leases.db") || d.Plugins() != filepath.Join(path, "plugins") {
		t.Errorf("%s, %s", d.Leases(), d.Plugins())
	}
}

func TestTheOwnerStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path, "")
	first := d.Owner()
	if _, err := uuid.Parse(first); err != nil {
		t.Errorf("owner %q: %v", first, err)
	}
	d.Close()
	d = open(t, path, "prod.eu-1_a")
	if d.Owner() != "prod.eu-1_a" {
		t.Errorf("owner %q", d.Owner())
	}
	d.Close()
	if d = open(t, path, ""); d.Owner() != first {
		t.Errorf("owner %q, first it was %q", d.Owner(), first)
	}
}

// That a host was here before is told by the owner id, or by what every host leaves.
func TestUsed(t *testing.T) {
	for _, owner := range []string{"", "me"} {
		path := filepath.Join(t.TempDir(), "state")
		d := open(t, path, owner)
		if d.Used() {
			t.Errorf("owner %q: a new one is told as used", owner)
		}
		d.Close()
		if d = open(t, path, owner); d.Used() { // the first came no further
			t.Errorf("owner %q: one that had no leases yet is told as used", owner)
		}
		d.Close()
		if err := os.Mkdir(filepath.Join(path, "run"), 0o700); err != nil { // as a host does that has leases
			t.Fatal(err)
		}
		if s := statedir.Look(path, owner); !s.Used {
			t.Errorf("owner %q: %+v", owner, s)
		}
		if d = open(t, path, owner); !d.Used() {
			t.Errorf("owner %q: it is not told that a host was here", owner)
		}
	}
}

func TestAnOwnerThatCantBeUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for owner, words := range map[string]string{
		"-x": "give 1 to 63 letters", ".x": "give 1 to 63 letters", "a b": "give 1 to 63 letters", "a/b": "give 1 to 63 letters", "ü": "give 1 to 63 letters",
		"x\n": "give 1 to 63 letters", strings.Repeat("x", 64): "give 1 to 63 letters", "unowned": "in adopt it means",
	} {
		_, err := statedir.Open(path, owner)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("owner: %q can't be used", owner)) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", owner, err)
		}
	}
	open(t, path, strings.Repeat("x", 63)).Close() // and a refusal has not kept the lock

	kept := filepath.Join(path, "owner")
	for _, content := range []string{"", "\n", "a b", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(kept, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := statedir.Open(path, "")
		if err == nil || !strings.Contains(err.Error(), "which is no owner id; restore it, or set owner in the configuration") || len(err.Error()) > 400 {
			t.Errorf("%.20q: %v", content, err)
		}
	}
}

func TestWhatACrashLeftGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, ".new-1234"), []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path, "")
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestASecondHostIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	h := hold(t, path)
	if !strings.HasPrefix(h.first, "open ") {
		t.Fatal(h.first)
	}
	_, err := statedir.Open(path, "")
	var locked *statedir.LockedError
	want := fmt.Sprintf("state_dir %s is in use by the host with pid %d; end that one, or give this one a state_dir of its own", path, h.cmd.Process.Pid)
	if !errors.As(err, &locked) || locked.PID != h.cmd.Process.Pid || locked.Path != path || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	// kill -9 frees it, and the owner is still the same.
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.cmd.Wait()
	d := open(t, path, "")
	if "open "+d.Owner() != h.first {
		t.Errorf("the owner is %q now, and was %q", d.Owner(), h.first)
	}

	// And the other way round: this process holds it.
	want = fmt.Sprintf("is in use by the host with pid %d;", os.Getpid())
	if second := hold(t, path); !strings.Contains(second.first, want) {
		t.Errorf("got %s", second.first)
	}
	if _, err := statedir.Open(path, ""); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("in one process: %v", err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if third := hold(t, path); !strings.HasPrefix(third.first, "open ") {
		t.Error(third.first)
	}
}

func TestOneOfManyWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var wg sync.WaitGroup
	won := make(chan *statedir.Dir, 16)
	for range 16 {
		wg.Go(func() {
			d, err := statedir.Open(path, "")
			var locked *statedir.LockedError
			switch {
			case err == nil:
				won <- d
			case !errors.As(err, &locked):
				t.Error(err)
			case locked.PID != os.Getpid():
				t.Errorf("names pid %d", locked.PID)
			}
		})
	}
	wg.Wait()
	close(won)
	if n := len(won); n != 1 {
		t.Errorf("%d hold it", n)
	}
	for d := range won {
		d.Close()
	}
}

// A pid that an earlier holder has left is not told as the holder's.
func TestAStalePidIsNotNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	dead := hold(t, path)
	dead.cmd.Process.Kill()
	dead.cmd.Wait()
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // as one that has not written yet
		t.Fatal(err)
	}
	_, err = statedir.Open(path, "")
	if err == nil || !strings.Contains(err.Error(), "is in use by another host;") {
		t.Errorf("got %v", err)
	}
}

func TestADirectoryThatCantBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := statedir.Open(file, ""); err == nil || !strings.Contains(err.Error(), "state_dir: ") || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	loose := filepath.Join(dir, "loose")
	if err := errors.Join(os.Mkdir(loose, 0o700), os.Chmod(loose, 0o750)); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("state_dir %s has mode 0750, so that others can get at it; run chmod 0700 %s", loose, loose)
	if _, err := statedir.Open(loose, ""); err == nil || err.Error() != want {
		t.Errorf("an open one: %v", err)
	}
	if entries, err := os.ReadDir(loose); err != nil || len(entries) != 0 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
	if os.Getuid() != 0 {
		t.Skip("a directory of another user needs root")
	}
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, 4321, 4321)); err != nil {
		t.Fatal(err)
	}
	want = fmt.Sprintf("state_dir %s belongs to user 4321, and this host runs as 0; give it a directory of its own", theirs)
	if _, err := statedir.Open(theirs, ""); err == nil || err.Error() != want {
		t.Errorf("another's: %v", err)
	}
}
