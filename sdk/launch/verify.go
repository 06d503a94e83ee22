package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// executable is a verified copy, ready to be executed.
type executable struct {
	path   string // <cache>/<sha256>/<base name of the binary>
	sha256 string
}

// verify hashes the binary, copies it into the cache, and answers the copy. A copy that
// is there already is used again when its own content has the right digest. What is
// executed has always been hashed after nobody but its owner could write it.
func verify(ctx context.Context, o Options) (executable, error) {
	src, err := openBinary(o)
	if err != nil {
		return executable{}, err
	}
	defer src.Close()

	sum, err := digest(ctx, src, io.Discard)
	if err != nil {
		return executable{}, o.readFailed(ctx, err)
	}
	if err := o.checkSum(sum); err != nil {
		return executable{}, err
	}
	exe := executable{path: filepath.Join(o.CacheDir, sum, filepath.Base(o.Path)), sha256: sum}
	if private(o.CacheDir) && private(filepath.Dir(exe.path)) && intact(ctx, exe) {
		return exe, nil
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return executable{}, o.readFailed(ctx, err)
	}
	return o.copyToCache(ctx, src)
}

// openBinary opens the binary and checks what kind of file it is. It never blocks, also
// not on a pipe.
func openBinary(o Options) (*os.File, error) {
	f, err := os.OpenFile(o.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, o.fail(Missing, nil, "there is no file %s: install the plugin there, or correct `command` or `plugin_dir`", o.Path)
	case err != nil:
		return nil, o.fail(Unreadable, err, "the host can't read %s, and runs only what it could verify", o.Path)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, o.fail(Unreadable, err, "the host can't examine %s", o.Path)
	}
	switch {
	case info.IsDir():
		err = o.fail(NotRegular, nil, "%s is a directory: `command` must name the binary itself", o.Path)
	case !info.Mode().IsRegular():
		err = o.fail(NotRegular, nil, "%s is no regular file (%s): `command` must name the binary itself", o.Path, info.Mode().Type())
	case info.Mode().Perm()&0o111 == 0:
		err = o.fail(NotExecutable, nil, "%s has no execute permission (mode %s): chmod +x it", o.Path, info.Mode().Perm())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// copyToCache copies src while it hashes it. The digest of what was written decides.
func (o Options) copyToCache(ctx context.Context, src io.Reader) (executable, error) {
	failed := func(err error) (executable, error) {
		if ctx.Err() != nil {
			return executable{}, o.canceled(ctx)
		}
		return executable{}, o.fail(CacheFailed, err, "the verified copy can't be written below %s: check its permissions and its free space", o.CacheDir)
	}
	if err := makePrivate(o.CacheDir); err != nil {
		return failed(err)
	}
	tmp, err := os.CreateTemp(o.CacheDir, tempPrefix+"*")
	if err != nil {
		return failed(err)
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	defer tmp.Close()

	sum, err := digest(ctx, src, tmp)
	if err != nil {
		return failed(err)
	}
	if err := o.checkSum(sum); err != nil {
		return executable{}, err
	}
	exe := executable{path: filepath.Join(o.CacheDir, sum, filepath.Base(o.Path)), sha256: sum}
	dir := filepath.Dir(exe.path)
	err = errors.Join(tmp.Chmod(0o700), tmp.Sync(), tmp.Close())
	if err == nil {
		err = makePrivate(dir)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), exe.path)
	}
	if err == nil {
		err = errors.Join(syncDir(dir), syncDir(o.CacheDir))
	}
	if err != nil {
		return failed(err)
	}
	return exe, nil
}

func (o Options) checkSum(got string) error {
	if o.SHA256 == "" || o.SHA256 == got {
		return nil
	}
	return o.fail(ChecksumMismatch, nil,
		"the sha256 of %s is %s, the configuration wants %s: install the binary that was meant, or correct `sha256`", o.Path, got, o.SHA256)
}

// canceled is the error of a start whose context was done first.
func (o Options) canceled(ctx context.Context) *Error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errStartTimeout) {
		return o.fail(StartTimeout, nil, "it did not start within %s", o.StartTimeout)
	}
	return o.fail(Canceled, cause, "the start was given up")
}

func (o Options) readFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return o.canceled(ctx)
	}
	return o.fail(Unreadable, err, "%s can't be read to its end", o.Path)
}

// private reports whether nobody but the host's user can change what is in dir.
func private(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && info.Mode().Perm()&0o077 == 0 && ownedByUs(info)
}

// makePrivate makes dir, or closes it to others when it is there.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if !private(dir) {
		return fmt.Errorf("%s is no private directory of the host's user", dir)
	}
	return nil
}

// intact reports whether a copy is there, private, and has the digest that it is filed
// under.
func intact(ctx context.Context, exe executable) bool {
	f, err := os.OpenFile(exe.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return false
	}
	sum, err := digest(ctx, f, io.Discard)
	return err == nil && sum == exe.sha256
}

func digest(ctx context.Context, src io.Reader, dst io.Writer) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(h, dst), contextReader{ctx, src}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends a long copy when its context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// Fingerprint tells cheaply which binary is at path: inode, size and time of the last
// change. It is "missing" when there is none. Two equal answers mean the same binary; it
// is for noticing a change, never for trust.
func Fingerprint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "missing"
	}
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d/%d/%d/%s", inode, info.Size(), info.ModTime().UnixNano(), info.Mode())
}
