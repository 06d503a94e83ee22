// Package doors knows the sockets that are doors to the machine: whoever can write to one of
// them is root there, or the user whose daemon it is. A provider shows none of them to a
// sandbox, unless its operator says so.
package doors

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wellKnown are where the daemons of Docker and containerd listen.
var wellKnown = []string{
	"/var/run/docker.sock",
	"/run/docker.sock",
	"/run/containerd/containerd.sock",
	"/run/docker/containerd/containerd.sock",
	"/var/run/docker/containerd/containerd.sock",
}

// Behind returns the socket that a sandbox would reach that is shown path, or "". Symlinks are
// resolved on both sides, and a path that does not exist yet is judged as if it were made.
func Behind(path string) string {
	path = Resolve(path)
	sockets := slices.Concat(wellKnown, rootless(path))
	if own, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		sockets = append(sockets, own)
	}
	for _, s := range sockets {
		if contains(path, s) || contains(path, Resolve(s)) || sameFile(path, s) {
			return s
		}
	}
	return ""
}

// rootless are where a user's own daemons of Docker and containerd listen: those of the user in
// whose runtime directory path is, or else of one who stands for all.
func rootless(path string) []string {
	const directories = "/run/user/"
	user := "0"
	if rest, ok := strings.CutPrefix(path, directories); ok {
		user, _, _ = strings.Cut(rest, "/")
	}
	own := directories + user
	return []string{own + "/docker.sock", own + "/docker/containerd/containerd.sock", own + "/containerd/containerd.sock"}
}

// Resolve makes path absolute and resolves the symlinks of as much of it as exists.
func Resolve(path string) string {
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
