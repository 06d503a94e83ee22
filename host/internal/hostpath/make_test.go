package hostpath_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/host/internal/hostpath"
	"github.com/berth-dev/berth/sdk/provider"
)

// me is the owner that every host may give.
func me() string { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) }

func stat(t *testing.T, path string) (owner string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", s.Uid, s.Gid), info.Mode()
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("giving a directory to another user needs root")
	}
}

func TestMakeMakesAndLeaves(t *testing.T) {
	dir := open(t)
	d := hostpath.Directory{Path: dir + "/a/b/c", Within: dir, Owner: me(), Mode: 0o2750}
	for range 2 {
		if err := hostpath.Make(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if owner, mode := stat(t, d.Path); owner != me() || mode.Perm() != 0o750 {
			t.Errorf("%s, %v", owner, mode)
		}
	}
	// One that is owned rightly is left as it is: the mode as well.
	if err := os.Chmod(d.Path, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := hostpath.Make(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, mode := stat(t, d.Path); mode.Perm() != 0o711 {
		t.Errorf("the mode was changed to %v", mode)
	}
}

func init() {
	children["umask"] = func(dir string) error {
		syscall.Umask(0o077)
		d := hostpath.Directory{Path: dir + "/x", Within: dir, Owner: me(), Mode: 0o777}
		if err := hostpath.Make(context.Background(), d); err != nil {
			return err
		}
		info, err := os.Stat(d.Path)
		if err != nil || info.Mode().Perm() != 0o777 {
			return fmt.Errorf("mode %v: %w", info.Mode(), err)
		}
		return nil
	}
	// may not give a directory away, leaves nothing behind, and takes one that it could
	// not even read.
	children["chown"] = func(dir string) error {
		err := hostpath.Make(context.Background(), hostpath.Directory{Path: dir + "/x", Within: dir, Owner: "4321:4321", Mode: 0o700})
		if !errors.Is(err, provider.Internal) || !strings.Contains(err.Error(), "can't be given to 4321:4321: operation not permitted") ||
			!strings.Contains(err.Error(), "set owner on the mount to "+me()) {
			return fmt.Errorf("making gave: %w", err)
		}
		if _, err := os.Lstat(dir + "/x"); !errors.Is(err, fs.ErrNotExist) {
			return errors.New("the directory was left behind")
		}
		if os.Getuid() != nobody { // the test had no root's powers to make them
			return nil
		}
		if err := hostpath.Make(context.Background(), hostpath.Directory{Path: dir + "/theirs", Within: dir, Owner: "4321:4321", Mode: 0o700}); err != nil {
			return fmt.Errorf("one owned rightly: %w", err)
		}
		err = hostpath.Make(context.Background(), hostpath.Directory{Path: dir + "/theirs", Within: dir, Owner: "1234:1234", Mode: 0o700})
		if !errors.Is(err, provider.Internal) || !strings.Contains(err.Error(), "does not belong to 1234:1234") {
			return fmt.Errorf("one owned wrongly: %w", err)
		}
		err = hostpath.Make(context.Background(), hostpath.Directory{Path: dir + "/closed/x", Within: dir + "/closed", Owner: me(), Mode: 0o700})
		if !errors.Is(err, provider.Internal) || !strings.Contains(err.Error(), "/closed/x can't be made: permission denied") {
			return fmt.Errorf("in a directory of another: %w", err)
		}
		return nil
	}
}

func TestMakeWithAUmask(t *testing.T) {
	dir := open(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	asNobody(t, "umask", dir)
}

func TestMakeMayNotChown(t *testing.T) {
	dir := open(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		tree(t, dir, "theirs/", "closed/")
		if err := errors.Join(os.Chmod(dir+"/theirs", 0o700), os.Chown(dir+"/theirs", 4321, 4321)); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, "chown", dir)
}

func TestMakeGives(t *testing.T) {
	needRoot(t)
	dir := open(t)
	tree(t, dir, "wrong/", "wrong/inner")
	for _, name := range []string{"new", "parent/new", "wrong"} {
		d := hostpath.Directory{Path: dir + "/" + name, Within: dir, Owner: "4321:1234", Mode: 0o700}
		if err := hostpath.Make(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if owner, mode := stat(t, d.Path); owner != "4321:1234" || mode.Perm() != 0o700 {
			t.Errorf("%s: %s, %v", name, owner, mode)
		}
	}
	for _, name := range []string{"parent", "wrong/inner"} { // neither way nor content
		if owner, _ := stat(t, dir+"/"+name); owner != "0:0" {
			t.Errorf("%s was given to %s", name, owner)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	dir := open(t)
	tree(t, dir, "chats/", "chats/file", "chats/file2/", "elsewhere/", "chats/out -> $/elsewhere", "chats/rel -> ../elsewhere", "chats/dangling -> missing")
	made := func(path string) hostpath.Directory {
		return hostpath.Directory{Path: dir + "/" + path, Within: dir + "/chats", Owner: me(), Mode: 0o700}
	}
	with := func(d hostpath.Directory, owner string) hostpath.Directory { d.Owner = owner; return d }
	for _, c := range []struct {
		d     hostpath.Directory
		class provider.Class
		words string
	}{
		{made("chats"), provider.InvalidArgument, "is not below"},
		{made("chats/"), provider.InvalidArgument, "is not below"},
		{made("elsewhere/x"), provider.InvalidArgument, "is not below"},
		{made("chats/../elsewhere/x"), provider.InvalidArgument, "is not below"},
		{made("chats/file"), provider.InvalidArgument, "is there and is no directory"},
		{made("chats/file/x"), provider.Internal, "can't be made: file exists"},
		{made("chats/out/x"), provider.Internal, "path escapes from parent"},
		{made("chats/rel/x"), provider.Internal, "path escapes from parent"},
		{made("chats/out/x/y"), provider.Internal, "path escapes from parent"},
		{made("chats/out"), provider.Internal, "path escapes from parent"},
		{made("chats/dangling"), provider.Internal, "no such file or directory"},
		{hostpath.Directory{Path: dir + "/no/x", Within: dir + "/no", Owner: me(), Mode: 0o700}, provider.Internal, "/no: no such file or directory; make it"},
		{with(made("chats/x"), ""), provider.InvalidArgument, `set owner = "uid:gid" on the mount`},
		{with(made("chats/x"), "1000"), provider.InvalidArgument, `owner: "1000" is not of the form uid:gid, in numbers from 0 to 4294967294`},
		{with(made("chats/x"), "root:root"), provider.InvalidArgument, "is not of the form"},
		{with(made("chats/x"), "-1:0"), provider.InvalidArgument, "is not of the form"},
		{with(made("chats/x"), "+1:0"), provider.InvalidArgument, "is not of the form"},
		{with(made("chats/x"), "4294967295:0"), provider.InvalidArgument, "is not of the form"}, // chown's "leave it"
		{with(made("chats/x"), "1:4294967296"), provider.InvalidArgument, "is not of the form"},
	} {
		refused(t, hostpath.Make(t.Context(), c.d), c.class, c.words)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := hostpath.Make(gone, made("chats/x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for path, want := range map[string]int{"elsewhere": 0, "chats": 5} {
		if entries, err := os.ReadDir(filepath.Join(dir, path)); err != nil || len(entries) != want {
			t.Errorf("%s: %v, %v", path, entries, err)
		}
	}
}

func TestMakeChangesNothingThroughASymlink(t *testing.T) {
	needRoot(t)
	dir := open(t)
	tree(t, dir, "other/", "link -> other")
	d := hostpath.Directory{Path: dir + "/link", Within: dir, Owner: "4321:1234", Mode: 0o700}
	refused(t, hostpath.Make(t.Context(), d), provider.InvalidArgument, "is a symlink to a directory that does not belong to 4321:1234")
	if owner, _ := stat(t, dir+"/other"); owner != "0:0" {
		t.Errorf("given to %s", owner)
	}
	if err := os.Chown(dir+"/other", 4321, 1234); err != nil {
		t.Fatal(err)
	}
	if err := hostpath.Make(t.Context(), d); err != nil {
		t.Errorf("one that is owned rightly: %v", err)
	}
}

// While others make the same directory, and somebody keeps putting a symlink in its way.
func TestMakeInARace(t *testing.T) {
	dir := open(t)
	tree(t, dir, "chats/", "elsewhere/")
	stop := make(chan struct{})
	var attacker, makers sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				os.Symlink(dir+"/elsewhere", dir+"/chats/way")
				os.Remove(dir + "/chats/way")
			}
		}
	})
	for range 4 {
		makers.Go(func() {
			for range 100 {
				hostpath.Make(t.Context(), hostpath.Directory{Path: dir + "/chats/way/x", Within: dir + "/chats", Owner: me(), Mode: 0o700})
				if err := hostpath.Make(t.Context(), hostpath.Directory{Path: dir + "/chats/same/x", Within: dir + "/chats", Owner: me(), Mode: 0o700}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	makers.Wait()
	close(stop)
	attacker.Wait()
	if entries, err := os.ReadDir(dir + "/elsewhere"); err != nil || len(entries) != 0 {
		t.Errorf("got outside: %v, %v", entries, err)
	}
}
