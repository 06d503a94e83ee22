package docker

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/docker/docker/api/types/mount"

	"github.com/berth-dev/berth/plugins/internal/doors"
	"github.com/berth-dev/berth/sdk/provider"
)

// checkSource judges one mount's source. It returns what is wrong and the remedy, or
// two empty strings.
func (c Config) checkSource(name, source string) (summary, remedy string) {
	if !filepath.IsAbs(source) {
		return fmt.Sprintf("mount %q: source %q is not absolute", name, source), "write an absolute path"
	}
	if slices.Contains(c.Allow, allowDockerSocket) {
		return "", ""
	}
	if s := doors.Behind(source); s != "" {
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
