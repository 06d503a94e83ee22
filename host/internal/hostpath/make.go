package hostpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-dev/berth/sdk/provider"
)

// Directory says which directory is to be there.
type Directory struct {
	Path   string      // absolute
	Within string      // an existing directory: what is made is made below it
	Owner  string      // "uid:gid"; "" when nobody could tell it
	Mode   fs.FileMode // permissions, exactly
}

// parentMode is that of directories made on the way, which the sandbox does not see.
const parentMode = 0o755

// Make makes the directory and its missing parents. No symlink on the way leads out of
// Within, also not one that is put there meanwhile. One that exists and is owned rightly
// is left as it is. Errors: InvalidArgument, Internal; each names the remedy.
func Make(ctx context.Context, d Directory) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	uid, gid, err := d.owner()
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(d.Within, d.Path)
	if err != nil || !filepath.IsLocal(rel) {
		return invalid("%q is not below %s", d.Path, d.Within)
	}
	root, err := os.OpenRoot(d.Within)
	if err != nil {
		return failed("%s: %v; make it, and let the host write into it", d.Within, plain(err))
	}
	defer root.Close()
	if parent := filepath.Dir(rel); parent != "." {
		if err := root.MkdirAll(parent, parentMode); err != nil {
			return failed("the parents of %s can't be made: %v", d.Path, plain(err))
		}
	}
	err = root.Mkdir(rel, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return failed("%s can't be made: %v", d.Path, plain(err))
	}
	// By its descriptor: what is changed below is what was opened here.
	f, err := root.Open(rel)
	if err != nil {
		return failed("%s can't be opened: %v", d.Path, plain(err))
	}
	defer f.Close()
	return d.give(f, made, uid, gid)
}

// give makes owner and mode what they are to be.
func (d Directory) give(f *os.File, made bool, uid, gid int) error {
	info, err := f.Stat()
	if err != nil {
		return failed("%s: %v", d.Path, plain(err))
	}
	if !info.IsDir() {
		return invalid("%s is there and is no directory", d.Path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) == uid && int(stat.Gid) == gid && !made {
		return nil
	}
	if !ok || int(stat.Uid) != uid || int(stat.Gid) != gid {
		if err := f.Chown(uid, gid); err != nil {
			return failed("%s can't be given to %s: %v; run the host with CAP_CHOWN, or set owner on the mount to %d:%d and let the image run as that user",
				d.Path, d.Owner, plain(err), os.Geteuid(), os.Getegid())
		}
	}
	if !made {
		return nil
	}
	if err := f.Chmod(d.Mode.Perm()); err != nil {
		return failed("%s can't get mode %04o: %v", d.Path, d.Mode.Perm(), plain(err))
	}
	return nil
}

func (d Directory) owner() (uid, gid int, err error) {
	if d.Owner == "" {
		return 0, 0, invalid("%s is to be given to the image's user, which is given by name; set owner = \"uid:gid\" on the mount", d.Path)
	}
	u, g, ok := strings.Cut(d.Owner, ":")
	uid, uerr := strconv.Atoi(u)
	gid, gerr := strconv.Atoi(g)
	if !ok || uerr != nil || gerr != nil || uid < 0 || gid < 0 {
		return 0, 0, invalid("owner: %q is not of the form uid:gid in numbers", d.Owner)
	}
	return uid, gid, nil
}

func failed(format string, args ...any) error {
	return &provider.Error{Class: provider.Internal, Message: fmt.Sprintf(format, args...)}
}
