// Package hostpath is about directories of this machine that sandboxes get to see: it
// resolves their paths, keeps what a caller wrote inside what the operator allowed, and
// makes directories without following a symlink out of their place.
package hostpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
)

// Resolve makes path absolute and resolves its symlinks as far as it exists; the rest is
// appended as it is written. Errors: InvalidArgument.
func Resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", invalid("%q can't be made absolute: %v", path, err)
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		resolved, err := filepath.EvalSymlinks(dir)
		switch {
		case err == nil:
			return filepath.Join(resolved, rest), nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", invalid("%q can't be resolved: %v", path, err)
		case isSymlink(dir):
			return "", invalid("%q goes through the symlink %s, which leads nowhere", path, dir)
		case dir == filepath.Dir(dir):
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

func isSymlink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// InRoots resolves the volume of a request: an existing directory that is one of roots or
// lies inside one, once symlinks and ".." are resolved on both sides. Errors:
// InvalidArgument, which names the volume and the roots. What it returns is to be used:
// volume itself may lead elsewhere a moment later.
func InRoots(volume string, roots []string) (string, error) {
	if len(roots) == 0 {
		return "", invalid("volume: %q is refused: the configuration has no volume_roots; set them, or leave the volume out", volume)
	}
	if !filepath.IsAbs(volume) {
		return "", invalid("volume: %q is not an absolute path", volume)
	}
	allowed := strings.Join(roots, ", ")
	resolved, err := filepath.EvalSymlinks(volume)
	inside, looksInside := false, false
	for _, root := range roots {
		looksInside = looksInside || Inside(filepath.Clean(volume), filepath.Clean(root))
		root, rerr := filepath.EvalSymlinks(root)
		inside = inside || err == nil && rerr == nil && Inside(resolved, root)
	}
	switch {
	case inside:
	case !looksInside: // said alike of what exists and what does not
		return "", invalid("volume: %q is outside of volume_roots; it must be a directory inside %s", volume, allowed)
	case err != nil:
		return "", invalid("volume: %q can't be resolved: %v; it must be a directory inside %s", volume, plain(err), allowed)
	default:
		return "", invalid("volume: %q is %s, which is outside of volume_roots; it must be a directory inside %s", volume, resolved, allowed)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", invalid("volume: %q: %v", volume, plain(err))
	}
	if !info.IsDir() {
		return "", invalid("volume: %q is no directory; it must be a directory inside %s", volume, allowed)
	}
	return resolved, nil
}

// Confined resolves source and refuses it unless it lies below confine, symlinks resolved
// on both sides. Errors: InvalidArgument.
func Confined(source, confine string) (string, error) {
	resolved, err := Resolve(source)
	if err != nil {
		return "", err
	}
	within, err := Resolve(confine)
	if err != nil {
		return "", err
	}
	if resolved == within || !Inside(resolved, within) {
		return "", invalid("%q is %s, which is not below %s", source, resolved, within)
	}
	return resolved, nil
}

// Inside reports whether path is dir or lies below it. Both are absolute and clean.
func Inside(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func invalid(format string, args ...any) error {
	return &provider.Error{Class: provider.InvalidArgument, Message: fmt.Sprintf(format, args...)}
}
