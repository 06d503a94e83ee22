package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/detached"
	"github.com/berth-dev/berth/sdk/provider"
)

// runtime starts programs. It remembers nothing; see records.Runtime. That they outlive the
// plugin, and are found again and ended, is in detached.Processes.
type runtime struct{ detached.Processes }

// Prepare finds the program, and says by a digest which one it is.
func (runtime) Prepare(_ context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	text, err := os.ReadFile(req.Image)
	if err != nil {
		return provider.Prepared{}, &provider.Error{Class: provider.NotFound, Op: "prepare", ID: req.Image, Err: err}
	}
	return provider.Prepared{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text)), User: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())}, nil
}

// Start starts the program that was prepared, with a listener where the template has a port.
func (r runtime) Start(ctx context.Context, dir string, spec provider.Spec) error {
	settings, err := sdk.Decode[Sandbox](spec.Config)
	now, gone := r.Prepare(ctx, provider.PrepareRequest{Image: spec.Image})
	if err = errors.Join(err, gone); err != nil || now.Digest != spec.Digest {
		return &provider.Error{Class: provider.InvalidArgument, Message: "the program is not the one that was prepared", Err: err}
	}
	cmd := detached.Command(spec)
	cmd.Dir = settings.Directory
	if spec.Port != 0 {
		listener, err := detached.Listen(dir, cmd)
		if err != nil {
			return err
		}
		defer listener.Close()
	}
	return detached.Start(dir, cmd)
}
