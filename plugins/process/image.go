//go:build linux

package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// defaultRoot is what sandboxes without an image see of this machine, as far as it is
// there: programs and libraries, and of /etc what is no secret and no identity.
var defaultRoot = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/localtime", "/etc/mime.types", "/etc/services", "/etc/protocols",
}

// image is what a sandbox's root is made of.
type image struct {
	digest  string
	entries []stage.Entry
}

// Prepare looks at the image; see [provider.Provider]. An image is the path of a directory
// that holds a root, or nothing: then the root is what the provider's block names of this
// machine. Nothing is copied: the digest is over what the root's entries are (for
// directories their inodes, for files also size and time), not over what is in directories.
func (p *Provider) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	prepared, err := p.prepare(ctx, req)
	if err != nil {
		err := failure(ctx, "prepare", req.Image, codeStart, "", err)
		p.log.WarnContext(ctx, "prepare failed", "code", codeStart, "class", string(err.Class), "image", req.Image, "error", err)
		return provider.Prepared{}, err
	}
	return prepared, nil
}

func (p *Provider) prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	var none provider.Prepared
	if err := ctx.Err(); err != nil {
		return none, err
	}
	own, err := decodeSandbox(req.Config)
	if err != nil {
		return none, err
	}
	uid, gid, err := p.userOf(own)
	if err != nil {
		return none, err
	}
	if err := p.machine.demandLevel(ctx, own.Isolation); err != nil {
		return none, err
	}
	img, err := p.image(req.Image)
	if err != nil {
		return none, err
	}
	return provider.Prepared{Digest: img.digest, User: fmt.Sprintf("%d:%d", uid, gid)}, nil
}

// image looks at what the root of an image is made of, now.
func (p *Provider) image(name string) (image, error) {
	if summary, remedy := p.config.checkImage(name); summary != "" {
		return image{}, refusal(provider.InvalidArgument, summary+"; "+remedy)
	}
	sum := sha256.New()
	var out image
	add := func(source, target string, optional bool) error {
		e, mark, err := entryOf(source, target)
		if optional && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, mark)
		out.entries = append(out.entries, e)
		return nil
	}
	switch {
	case name != "":
		if err := p.imageDir(name, add); err != nil {
			return image{}, err
		}
	case len(p.config.Root) > 0:
		for _, path := range p.config.Root {
			if err := add(path, path, false); err != nil {
				return image{}, &provider.Error{Class: provider.NotFound, Message: "root names " + path + ", which can't be had", Err: err}
			}
		}
	default:
		for _, path := range defaultRoot {
			if err := add(path, path, true); err != nil {
				return image{}, err
			}
		}
	}
	out.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return out, nil
}

// imageDir adds what is at the top of an image's directory, but for what each sandbox has
// of its own.
func (p *Provider) imageDir(dir string, add func(source, target string, optional bool) error) error {
	real, err := filepath.EvalSymlinks(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &provider.Error{Class: provider.NotFound, Message: fmt.Sprintf("image %q is not there", dir), Err: err}
	case err != nil:
		return err
	case within(real, p.dir.path) || within(p.dir.path, real):
		return refusal(provider.InvalidArgument, fmt.Sprintf("image %q and the provider's own directory %s overlap; choose another directory", dir, p.dir.path))
	}
	list, err := os.ReadDir(real)
	if err != nil {
		if info, statErr := os.Stat(real); statErr == nil && !info.IsDir() {
			return refusal(provider.InvalidArgument, fmt.Sprintf("image %q is no directory; for the process provider an image is a directory that holds a root", dir))
		}
		return err
	}
	for _, e := range list {
		switch e.Name() {
		case "proc", "sys", "dev", "tmp":
			continue
		}
		if !e.IsDir() && !e.Type().IsRegular() && e.Type()&fs.ModeSymlink == 0 {
			continue // a socket or a device at the top is of no use and may be of harm
		}
		if err := add(filepath.Join(real, e.Name()), "/"+e.Name(), false); err != nil {
			return err
		}
	}
	return nil
}

// entryOf looks at something that is to be at the top of a root. The mark tells whether it
// was replaced.
func entryOf(source, target string) (e stage.Entry, mark string, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(source, &st); err != nil {
		return e, "", &fs.PathError{Op: "lstat", Path: source, Err: err}
	}
	e.Target = target
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err := os.Readlink(source)
		if err != nil {
			return e, "", err
		}
		e.Link = link
		return e, fmt.Sprintf("%q -> %q", target, e.Link), nil
	}
	e.Source = source
	mark = fmt.Sprintf("%q = %q dev %d inode %d mode %o", target, source, st.Dev, st.Ino, st.Mode)
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		mark += fmt.Sprintf(" size %d changed %d.%09d", st.Size, st.Mtim.Sec, st.Mtim.Nsec)
	}
	return e, mark, nil
}
