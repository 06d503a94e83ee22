package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// The bounds of waiting for what another call has under way.
const (
	// startPatience is how long a container that was made just now may take to be
	// started by whoever made it, before it counts as left behind.
	startPatience = 3 * time.Second

	// vanishPatience is how long a name may be taken by nothing that can be seen: a
	// container that is being made, or one that is being removed.
	vanishPatience = 10 * time.Second
)

// turns bounds how often one create tries again.
type turns struct {
	remade bool      // a container that did not run was removed once
	end    time.Time // of waiting for a name that nobody is seen to have
}

func newTurns() turns { return turns{end: time.Now().Add(vanishPatience)} }

// settle decides what a taken name means. It returns the sandbox when it is the one
// that spec asks for, and nil when the name is free again.
func (p *Provider) settle(ctx context.Context, spec provider.Spec, turn *turns) (*provider.Created, error) {
	patience := time.Now().Add(startPatience)
	for {
		c, err := p.daemon.client().ContainerInspect(ctx, spec.Name)
		switch {
		case cerrdefs.IsNotFound(err):
			if time.Now().After(turn.end) {
				return nil, refusal(provider.Unavailable, "", "", "",
					fmt.Sprintf("the name %s is taken by a container that the daemon does not show", spec.Name))
			}
			return nil, pause(ctx)
		case err != nil:
			return nil, err
		}
		if err := sameRequest(spec, c); err != nil {
			return nil, err
		}
		s := fromInspect(c)
		if s.State == provider.StateRunning {
			if _, err := started(spec, c); err == nil {
				return p.adopt(ctx, s)
			}
		}
		if s.State == provider.StateCreated && time.Now().Before(patience) && time.Since(s.CreatedAt).Abs() < vanishPatience {
			if err := pause(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if turn.remade {
			return nil, refusal(provider.Conflict, "", "", "",
				fmt.Sprintf("container %s of this request does not run (%s), and was made anew once already", shortID(s.ID), s.State))
		}
		if err := crash.Point("docker.conflict.removing"); err != nil {
			return nil, err
		}
		turn.remade = true
		p.log.InfoContext(ctx, "removing a container that does not run, to make it anew",
			"session_id", spec.SessionID, "container_id", s.ID, "state", s.State)
		return nil, p.remove(ctx, s.ID)
	}
}

// adopt answers a create with the sandbox that is there.
func (p *Provider) adopt(ctx context.Context, s provider.Sandbox) (*provider.Created, error) {
	identity, err := p.knownIdentity(ctx)
	if err != nil {
		return nil, err
	}
	return &provider.Created{Outcome: provider.OutcomeAdopted, Sandbox: s, Identity: identity}, nil
}

// sameRequest refuses a container that another owner, session or request made.
func sameRequest(spec provider.Spec, c container.InspectResponse) error {
	labels := labelsOf(c)
	var other string
	switch {
	case strings.TrimPrefix(c.Name, "/") != spec.Name:
		other = "name" // the daemon took it for the beginning of an id
	case labels[labelOwner] != spec.Owner:
		other = "owner"
	case labels[labelSessionID] != spec.SessionID:
		other = "session"
	case labels[labelRequestHash] != spec.RequestHash:
		other = "request"
	default:
		return nil
	}
	return refusal(provider.Conflict, "", "", "",
		fmt.Sprintf("the name %s is taken by container %s of another %s", spec.Name, shortID(c.ID), other))
}

// pause waits a moment for somebody else, or for ctx.
func pause(ctx context.Context) error {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
