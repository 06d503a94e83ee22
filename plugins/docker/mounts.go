package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"

	"github.com/berth-dev/berth/sdk/provider"
)

// wellKnownSockets are the doors to the machine that no sandbox gets: whoever can
// write to one of them is root on the host.
var wellKnownSockets = []string{
	"/var/run/docker.sock",
	"/run/docker.sock",
	"/run/containerd/containerd.sock",
	"/run/docker/containerd/containerd.sock",
	"/var/run/docker/containerd/containerd.sock",
}

// socketBehind returns the socket that a mount of source would show, or "". Symlinks
// are resolved on both sides, and a source that does not exist yet is judged as if it
// were made. socket is the daemon's own; it may be "".
func socketBehind(source, socket string) string {
	source = resolve(source)
	sockets := wellKnownSockets
	if socket != "" {
		sockets = append(slices.Clone(sockets), socket)
	}
	for _, s := range sockets {
		if contains(source, s) || contains(source, resolve(s)) || sameFile(source, s) {
			return s
		}
	}
	return ""
}

// resolve makes path absolute and resolves the symlinks of as much of it as exists.
func resolve(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return abs
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// contains reports whether path is dir or lies below it.
func contains(dir, path string) bool {
	return dir == path || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// sameFile reports whether both are one file, by a hard link or a bind mount.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil || x.IsDir() {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// checkSource judges one mount's source. It returns what is wrong and the remedy, or
// two empty strings.
func (c Config) checkSource(name, source, socket string) (summary, remedy string) {
	if !filepath.IsAbs(source) {
		return fmt.Sprintf("mount %q: source %q is not absolute", name, source), "write an absolute path"
	}
	if slices.Contains(c.Allow, allowDockerSocket) {
		return "", ""
	}
	if s := socketBehind(source, socket); s != "" {
		return fmt.Sprintf("mount %q: source %q is or contains the socket %s, which gives root on the host", name, source, s),
			`choose a narrower directory, or let the operator write allow = ["docker_socket"] into the provider's config`
	}
	return "", ""
}

// mountsOf makes Docker's mounts, in the order of the Spec. They are Mounts and not
// Binds: the daemon refuses a source that is missing instead of making it as root.
func mountsOf(mounts []provider.Mount) []mount.Mount {
	out := make([]mount.Mount, 0, len(mounts))
	for _, m := range mounts {
		out = append(out, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	return out
}
