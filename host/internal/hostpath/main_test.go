package hostpath_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// children are what this test binary does instead of testing when a test starts it again.
var children = map[string]func(dir string) error{}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("HOSTPATH_TEST_CHILD")]; child != nil {
		if err := child(os.Getenv("HOSTPATH_TEST_DIR")); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// asNobody runs one of the children on dir without root's powers, if the tests have them.
func asNobody(t *testing.T, name, dir string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "HOSTPATH_TEST_CHILD="+name, "HOSTPATH_TEST_DIR="+dir)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		bin := open(t)
		content, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(bin, "test")
		if err := os.WriteFile(cmd.Path, content, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

const nobody = 65534

// open returns a directory that everybody may enter, its symlinks resolved.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-hostpath-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree makes directories ("a/"), files ("f") and symlinks ("l -> target") below dir.
func tree(t *testing.T, dir string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		name, target, isLink := strings.Cut(e, " -> ")
		path := filepath.Join(dir, name)
		var err error
		switch {
		case isLink:
			err = os.Symlink(strings.ReplaceAll(target, "$", dir), path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// refused sees that err is of the class and says each of the words.
func refused(t *testing.T, err error, class provider.Class, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got %v, want the class %q", err, class)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}
