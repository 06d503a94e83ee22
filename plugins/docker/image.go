package docker

import (
	"context"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/berth-dev/berth/sdk/provider"
)

// digestOf tells what an image is: the repository digest that belongs to the name it
// was asked for by, or its id when it was never pushed or pulled under that name. With
// containerd's image store, the default of engines from 29.0, both are the same.
func digestOf(name string, img image.InspectResponse) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return img.ID // asked for by its id
	}
	for _, text := range img.RepoDigests {
		have, err := reference.ParseNormalizedNamed(text)
		if err != nil || have.Name() != named.Name() {
			continue
		}
		if d, ok := have.(reference.Digested); ok {
			return d.Digest().String()
		}
	}
	return img.ID
}

// userOf tells the "uid:gid" of a container's process, by Docker's own rules: an empty
// user is root, and the group of a bare uid is the one that the image's /etc/passwd has
// for it, else 0 (see GetExecUser of github.com/moby/sys/user). That file can't be seen
// here, so a bare uid is told with group 0: whoever needs another writes uid:gid. A
// user or group by name is "".
func userOf(user string) string {
	if user == "" || user == "root" {
		return "0:0"
	}
	uid, gid, given := strings.Cut(user, ":")
	if !given || gid == "" {
		gid = "0"
	}
	if !isNumber(uid) || !isNumber(gid) {
		return ""
	}
	return uid + ":" + gid
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// pinned remembers the ids of images that were prepared. It is no more than a short cut:
// what it has forgotten is asked again.
type pinned struct {
	mu   sync.Mutex
	pins map[[2]string]string // by name and digest
}

// maxPins is far above the number of images that a host's templates name.
const maxPins = 1024

func (p *pinned) put(name, digest, pin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pins == nil || len(p.pins) >= maxPins {
		p.pins = make(map[[2]string]string)
	}
	p.pins[[2]string{name, digest}] = pin
}

func (p *pinned) get(name, digest string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pins[[2]string{name, digest}]
}

// pin returns the id of the image that was prepared: what to create a container from so
// that it is exactly that one, whatever its name means by now. A name with a digest is not
// enough: containerd's image store forgets it when the tag moves, and keeps the image.
func (p *Provider) pin(ctx context.Context, name, digest string) (string, error) {
	if digest == "" {
		return "", refusal(provider.InvalidArgument, "", "", "", "the spec has no digest of image "+name)
	}
	if pin := p.pinned.get(name, digest); pin != "" {
		return pin, nil
	}
	pin := digest // an image's id
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		switch img, err := p.daemon.client().ImageInspect(ctx, reference.FamiliarName(named)+"@"+digest); {
		case err == nil:
			pin = img.ID
		case !cerrdefs.IsNotFound(err):
			return "", err
		}
	}
	p.pinned.put(name, digest, pin)
	return pin, nil
}
