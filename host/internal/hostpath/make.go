package hostpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
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
// Within, also not one that is put there meanwhile. One that is there and owned rightly is
// left as it is; another is given to Owner, with Mode, where this host may do that. When
// Make fails, the directory is not left behind. Errors: InvalidArgument, Internal; each
// names the remedy.
func Make(ctx context.Context, d Directory) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	uid, gid, err := d.owner()
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(d.Within, d.Path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
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
	if err := d.settle(root, rel, made, uid, gid); err != nil {
		if made {
			if rerr := root.Remove(rel); rerr != nil {
				return fmt.Errorf("%w; and it can't be removed again: %v", err, plain(rerr))
			}
		}
		return err
	}
	return nil
}

// settle gives the directory its owner and its mode, where it has not got them.
func (d Directory) settle(root *os.Root, rel string, made bool, uid, gid int) error {
	info, err := root.Stat(rel) // not opened: once it is the sandbox's, the host may not read it
	if err != nil {
		return failed("%s: %v", d.Path, plain(err))
	}
	if !info.IsDir() {
		return invalid("%s is there and is no directory", d.Path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	rightly := ok && int64(stat.Uid) == int64(uid) && int64(stat.Gid) == int64(gid)
	if rightly && !made {
		return nil
	}
	if link, err := root.Lstat(rel); err != nil || !os.SameFile(link, info) {
		return invalid("%s is a symlink to a directory that does not belong to %s; give that one to it, or remove the link", d.Path, d.Owner)
	}
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY, 0)
	if err != nil {
		return failed("%s does not belong to %s and can't be opened: %v%s", d.Path, d.Owner, plain(err), d.remedy())
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return failed("%s was replaced while it was made", d.Path)
	}
	// By its descriptor, so that it is this directory; the mode first, while it is ours.
	if err := f.Chmod(d.Mode.Perm()); err != nil {
		return failed("%s can't get mode %04o: %v%s", d.Path, d.Mode.Perm(), plain(err), d.remedy())
	}
	if rightly {
		return nil
	}
	if err := f.Chown(uid, gid); err != nil {
		return failed("%s can't be given to %s: %v%s", d.Path, d.Owner, plain(err), d.remedy())
	}
	return nil
}

func (d Directory) remedy() string {
	return fmt.Sprintf("; run the host with CAP_CHOWN, or set owner on the mount to %d:%d and let the image run as that user", os.Geteuid(), os.Getegid())
}

func (d Directory) owner() (uid, gid int, err error) {
	if d.Owner == "" {
		return 0, 0, invalid("%s is to be given to the image's user, which is given by name; set owner = \"uid:gid\" on the mount", d.Path)
	}
	u, g, ok := strings.Cut(d.Owner, ":")
	uid, uerr := id(u)
	gid, gerr := id(g)
	if !ok || uerr != nil || gerr != nil {
		return 0, 0, invalid("owner: %q is not of the form uid:gid, in numbers from 0 to %d", d.Owner, maxID)
	}
	return uid, gid, nil
}

// maxID is the greatest user or group: the next number means "leave it".
const maxID = math.MaxUint32 - 1

func id(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n > maxID {
		err = strconv.ErrRange
	}
	return int(n), err
}

func failed(format string, args ...any) error {
	return &provider.Error{Class: provider.Internal, Message: fmt.Sprintf(format, args...)}
}
