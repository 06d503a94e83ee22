package docker

import (
	"context"
	"fmt"

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
	img, err := p.present(ctx, req.Image)
	if err != nil {
		return provider.Prepared{}, err
	}
	digest, pin := digestOf(req.Image, img)
	p.pinned.put(req.Image, digest, pin)
	user := own.User
	if user == "" && img.Config != nil {
		user = img.Config.User
	}
	return provider.Prepared{Digest: digest, User: userOf(user)}, nil
}

// present inspects an image, and pulls it when it is missing and that is wanted.
func (p *Provider) present(ctx context.Context, name string) (image.InspectResponse, error) {
	img, err := p.daemon.client().ImageInspect(ctx, name)
	if !cerrdefs.IsNotFound(err) {
		return img, err
	}
	if p.config.Pull == pullNever {
		return img, &provider.Error{Class: provider.NotFound, Err: err,
			Message: fmt.Sprintf(`image %q is missing and pull is "never"; load it into the daemon, or write pull = "missing"`, name)}
	}
	unlock, err := p.pulls.lock(ctx, name)
	if err != nil {
		return img, err
	}
	defer unlock()
	// Whoever had the turn before may have pulled it.
	if img, err = p.daemon.client().ImageInspect(ctx, name); !cerrdefs.IsNotFound(err) {
		return img, err
	}
	if err := p.pull(ctx, name); err != nil {
		return img, err
	}
	return p.daemon.client().ImageInspect(ctx, name)
}
