package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// undo removes the container of a failed create and returns the create's error, with
// the container's last output in it. It does not use the caller's time.
func (p *Provider) undo(ctx context.Context, id string, cause error) error {
	class := classOf(ctx, cause)
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoBound)
	defer cancel()
	if err := crash.Point("docker.undo.removing"); err != nil {
		return err
	}
	tail := p.logTail(own, id)
	out := &provider.Error{Class: class, LogTail: tail, Err: withTail(cause, tail)}
	if err := p.remove(own, id); err != nil {
		out.Class = provider.Unavailable // what is left behind is not known
		out.Message = fmt.Sprintf("container %s could not be removed (%v)", shortID(id), err)
	}
	return out
}

// undoByName cleans up after a create call whose outcome was never heard: the
// container, if there is one, has the name and bears the labels.
func (p *Provider) undoByName(ctx context.Context, spec provider.Spec, cause error) error {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoBound)
	defer cancel()
	unknown := outcomeUnknown(cause)
	c, err := p.daemon.client().ContainerInspect(own, spec.Name)
	if err == nil && sameRequest(spec, c) == nil {
		return p.undo(ctx, c.ID, unheard(cause, unknown))
	}
	return unheard(cause, unknown)
}

// unheard marks the error of a create whose outcome is unknown as Unavailable, even
// when it was the caller's leaving that ended the wait.
func unheard(cause error, unknown bool) error {
	if !unknown {
		return cause
	}
	return &provider.Error{Class: provider.Unavailable, Err: cause}
}

// remove removes a container by force, whatever its state, and returns when it is gone.
// Somebody else's removal under way is waited for; a missing container is success.
func (p *Provider) remove(ctx context.Context, id string) error {
	_, err := p.removeIfThere(ctx, id)
	return err
}

// removeIfThere is remove for a caller who wants to know whether it was there.
func (p *Provider) removeIfThere(ctx context.Context, id string) (found bool, err error) {
	for {
		err := p.daemon.client().ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
		switch {
		case err == nil:
			return true, nil
		case cerrdefs.IsNotFound(err):
			return found, nil
		case !isBeingRemoved(err):
			return false, err
		}
		found = true
		if err := pause(ctx); err != nil {
			return false, err
		}
	}
}

// isBeingRemoved knows the daemon's words for a removal by somebody else.
func isBeingRemoved(err error) bool {
	return cerrdefs.IsConflict(err) && strings.Contains(err.Error(), "is already in progress")
}

// outcomeUnknown reports whether a call may have had its effect although it failed:
// no answer of the daemon says that it had none.
func outcomeUnknown(err error) bool {
	var garbled *json.SyntaxError
	return client.IsErrConnectionFailed(err) || isCutOff(err) || errors.As(err, &garbled) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// createRefused classes the daemon's refusal to make a container. A mount source that
// is missing is a thing not found: the request itself may be as it should.
func createRefused(err error) error {
	if cerrdefs.IsInvalidArgument(err) && strings.Contains(err.Error(), "bind source path does not exist") {
		return &provider.Error{Class: provider.NotFound, Err: err}
	}
	return err
}

// startRefused classes the daemon's refusal to start a container. A command that can't
// be executed is the image's or the template's fault, never that of the request.
func startRefused(err error) error {
	if text := err.Error(); cerrdefs.IsNotFound(err) && strings.Contains(text, "network ") && strings.Contains(text, " not found") {
		return &provider.Error{Class: provider.NotFound, Message: "the network is missing: make it at the daemon, or name another in the template", Err: err}
	}
	if cerrdefs.IsInvalidArgument(err) {
		return &provider.Error{Class: provider.Internal, Err: err}
	}
	return err
}
