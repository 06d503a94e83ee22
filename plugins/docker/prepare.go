package docker

import (
	"context"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/berth-dev/berth/sdk/provider"
)

// Prepare makes an image present; see [provider.Provider].
func (p *Provider) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	prepared, err := p.prepare(ctx, req)
	if err != nil {
		err = p.failure(ctx, "prepare", req.Image, codeStart, "", err)
		p.log.WarnContext(ctx, "prepare failed", "code", codeStart, "class", string(provider.ClassOf(err)),
			"image", req.Image, "error", err)
	}
	return prepared, err
}

func (p *Provider) prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	begun := time.Now()
	own, err := decodeSandbox(req.Config)
	if err != nil {
		return provider.Prepared{}, err
	}
	if _, err := reference.ParseAnyReference(req.Image); err != nil {
		return provider.Prepared{}, &provider.Error{Class: provider.InvalidArgument,
			Message: fmt.Sprintf("image %q is no image's name", req.Image), Err: err}
	}
	if _, err := p.infoFor(ctx, own); err != nil {
		return provider.Prepared{}, err
	}
	img, err := p.present(ctx, req.Image, begun)
	if err != nil {
		return provider.Prepared{}, err
	}
	digest := digestOf(req.Image, img)
	p.pinned.put(req.Image, digest, img.ID)
	user := own.User
	if user == "" && img.Config != nil {
		user = img.Config.User
	}
	return provider.Prepared{Digest: digest, User: userOf(user)}, nil
}

// present inspects an image, after a pull where the settings want one.
func (p *Provider) present(ctx context.Context, name string, since time.Time) (image.InspectResponse, error) {
	if p.config.Pull == pullAlways && !isImageID(name) {
		if err := p.pulls.share(ctx, name, since, func(ctx context.Context) error { return p.pull(ctx, name) }); err != nil {
			return image.InspectResponse{}, err
		}
		return p.daemon.client().ImageInspect(ctx, name)
	}
	img, err := p.daemon.client().ImageInspect(ctx, name)
	switch {
	case !cerrdefs.IsNotFound(err):
		return img, err
	case isImageID(name):
		return img, missing(err, "image %q is missing, and an id can't be pulled; load it into the daemon, or name it by its repository", name)
	case p.config.Pull == pullNever:
		return img, missing(err, `image %q is missing and pull is "never"; load it into the daemon, or write pull = "missing"`, name)
	}
	if err := p.pulls.share(ctx, name, since, func(ctx context.Context) error { return p.pullMissing(ctx, name) }); err != nil {
		return img, err
	}
	return p.daemon.client().ImageInspect(ctx, name)
}

// pullMissing pulls an image unless somebody has done so meanwhile.
func (p *Provider) pullMissing(ctx context.Context, name string) error {
	if _, err := p.daemon.client().ImageInspect(ctx, name); !cerrdefs.IsNotFound(err) {
		return err
	}
	return p.pull(ctx, name)
}

func missing(err error, format, name string) error {
	return &provider.Error{Class: provider.NotFound, Message: fmt.Sprintf(format, name), Err: err}
}

// isImageID reports whether a name is no name but an image's id.
func isImageID(name string) bool {
	ref, err := reference.ParseAnyReference(name)
	if err != nil {
		return false
	}
	_, named := ref.(reference.Named)
	return !named
}
