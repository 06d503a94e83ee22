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
// was asked for by, or its id when it was never pushed or pulled under that name. pin
// is what the daemon understands for exactly that image.
func digestOf(name string, img image.InspectResponse) (digest, pin string) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return img.ID, img.ID // asked for by its id
	}
	for _, text := range img.RepoDigests {
		have, err := reference.ParseNormalizedNamed(text)
		if err != nil || have.Name() != named.Name() {
			continue
		}
		if d, ok := have.(reference.Digested); ok {
			return d.Digest().String(), text
		}
	}
	return img.ID, img.ID
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

// pinned remembers what images that were prepared are called at the daemon. It is no
// more than a short cut: what it has forgotten is asked again.
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

// pin returns what to create a container from so that it is exactly the image that was
// prepared, whatever its name means by now.
func (p *Provider) pin(ctx context.Context, name, digest string) (string, error) {
	if digest == "" {
		return "", refusal(provider.InvalidArgument, "", "", "", "the spec has no digest of image "+name)
	}
	if pin := p.pinned.get(name, digest); pin != "" {
		return pin, nil
	}
	pin := digest // an image's id
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		byDigest := reference.FamiliarName(named) + "@" + digest
		switch _, err := p.daemon.client().ImageInspect(ctx, byDigest); {
		case err == nil:
			pin = byDigest
		case !cerrdefs.IsNotFound(err):
			return "", err
		}
	}
	p.pinned.put(name, digest, pin)
	return pin, nil
}
