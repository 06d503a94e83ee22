package host

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/hostpath"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// agentIDVariable is set by the host in every sandbox.
const agentIDVariable = "AGENT_ID"

// template makes Specs from a template of the configuration.
type template struct {
	t           *config.Template
	volumeRoots []string
}

var _ lifecycle.Template = template{}

func (t template) Name() string       { return t.t.Name }
func (t template) Provider() string   { return t.t.Provider }
func (t template) TTL() time.Duration { return t.t.TTL }

func (t template) Limits() lifecycle.TemplateLimits {
	return lifecycle.TemplateLimits{Sessions: t.t.Limits.Sessions, SessionsPerAgent: t.t.Limits.SessionsPerAgent}
}

func (t template) Ready() lease.Ready {
	if t.t.Ready == nil {
		return lease.Ready{}
	}
	return lease.Ready{TCP: t.t.Ready.TCP, HTTP: t.t.Ready.HTTP, Timeout: t.t.Ready.Timeout}
}

func (t template) Image() provider.PrepareRequest {
	return provider.PrepareRequest{Image: t.t.Image, Config: t.t.SandboxConfig()}
}

func (t template) CheckVolume(volume string) (string, error) {
	return hostpath.InRoots(volume, t.volumeRoots)
}

// Spec evaluates the template for one session and makes the directories it asks for.
func (t template) Spec(ctx context.Context, in lifecycle.SpecInput) (provider.Spec, error) {
	ev, err := t.t.Evaluate(config.Session{
		ID: in.SessionID, ChatID: in.ChatID, AgentID: in.AgentID, Volume: in.VolumeHostPath,
		CreatedAt: in.CreatedAt, ExpiresAt: in.ExpiresAt,
	})
	if err != nil {
		return provider.Spec{}, err
	}
	spec := provider.Spec{
		SessionID: in.SessionID, ChatID: in.ChatID, AgentID: in.AgentID, Template: t.t.Name,
		CreatedAt: in.CreatedAt, ExpiresAt: in.ExpiresAt,
		Image: t.t.Image, Digest: in.Prepared.Digest, Command: ev.Command,
		Env:            append([]provider.EnvVar{{Name: agentIDVariable, Value: in.AgentID}}, ev.Env...),
		VolumeHostPath: in.VolumeHostPath,
		Network:        t.t.Network, Port: t.t.Port, Publish: t.t.Publish,
		Resources: t.t.Resources, Config: t.t.SandboxConfig(),
	}
	for _, m := range ev.Mounts {
		source, err := t.source(ctx, m, in)
		if err != nil {
			return provider.Spec{}, err
		}
		spec.Mounts = append(spec.Mounts, provider.Mount{Name: m.Name, Source: source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	return spec, t.sameVolume(in.VolumeHostPath)
}

// sameVolume looks at the volume once more. It was resolved when it was asked for; since then
// an image may have been pulled, and whoever may write beside it may have put a symlink into
// its place. From here to the mount it is the provider's to follow none.
func (t template) sameVolume(volume string) error {
	if volume == "" {
		return nil
	}
	now, err := hostpath.InRoots(volume, t.volumeRoots)
	if err != nil {
		return err
	}
	if now != volume {
		return &provider.Error{Class: provider.InvalidArgument,
			Message: fmt.Sprintf("volume: %q leads to %q since it was asked for; ask again for the directory that is meant", volume, now)}
	}
	return nil
}

// source makes a mount's directory where it is asked to, and resolves its path.
func (t template) source(ctx context.Context, m config.Mount, in lifecycle.SpecInput) (string, error) {
	if m.Create != nil {
		owner := m.Create.Owner
		if owner == "" {
			owner = in.Prepared.User
		}
		if err := hostpath.Make(ctx, hostpath.Directory{
			Path: m.Source, Within: m.Create.Within, Owner: owner, Mode: m.Create.Mode,
		}); err != nil {
			return "", fmt.Errorf("mount %q: %w", m.Name, err)
		}
	}
	if m.Confine != "" {
		source, err := hostpath.Confined(m.Source, m.Confine)
		if err != nil {
			return "", fmt.Errorf("mount %q: %w", m.Name, err)
		}
		return source, nil
	}
	return hostpath.Resolve(m.Source)
}
