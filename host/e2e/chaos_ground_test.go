//go:build chaos && linux

package e2e

import (
	"context"
	"os"
	"strings"
)

// ground is what a lane's sandboxes are on: a Docker daemon, or a state directory of
// processes. It is looked at past Berth, and harmed behind Berth's back.
type ground interface {
	// provider is the name of the provider: crash points of its plugin begin with it.
	provider() string

	// settings adds to the lane's configuration what the provider needs, with the
	// environment env for the plugin.
	settings(c *settings, env string)

	// troubles are the faults of this kind of ground, for random moments.
	troubles() []trouble

	// leadsTo brings the host or the plugin to points that it seldom passes.
	leadsTo() map[string]func(*lane)

	// listed are the sandboxes of an owner; false when nobody can tell.
	listed(ctx context.Context, owner string) ([]found, bool)

	// find looks at one sandbox; false: it is gone.
	find(ctx context.Context, id string) (found, bool, error)

	// make makes a sandbox with the labels that Berth gives them, or what there is for
	// labels. Where it can be there without having run, it runs only with start.
	make(ctx context.Context, labels map[string]string, start bool) (id string, err error)

	// harm does something to a sandbox: "killed", or another of its troubles.
	harm(ctx context.Context, what, id string) bool

	// strays are what the plugin has started for itself, and what must end with it.
	strays() error

	// left tells of what is there besides the decoys, when no host runs and every sandbox
	// was deleted.
	left() error

	// clean removes all that owners have left, and decoys. It is called once.
	clean(decoys []string, owners ...string)
}

// found is a sandbox as its ground shows it.
type found struct {
	box
	state string // in the ground's words
}

// onGrounds makes the ground of the i-th lane of so many; see flag chaos.provider.
var onGrounds = map[string]func(l *lane, i int) ground{"docker": newDockerGround, "process": newProcessGround}

// short is how an id is written in messages.
func short(id string) string {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" { // a container's
		return id[:12]
	}
	return id
}

// fill leaves no room on the file system of path.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	for err == nil {
		if _, err = f.Write(chunk); err != nil && len(chunk) > 4096 {
			chunk, err = chunk[:4096], nil
		}
	}
	return f.Close()
}
