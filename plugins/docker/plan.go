package docker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/go-connections/nat"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// plan is a Spec in Docker's words.
type plan struct {
	spec   provider.Spec
	config *container.Config
	host   *container.HostConfig
}

// plan makes Docker's configuration of spec, or refuses what is unsafe or can't be
// enforced. It makes nothing at the daemon.
func (p *Provider) plan(ctx context.Context, spec provider.Spec) (*plan, error) {
	own, err := decodeSandbox(spec.Config)
	if err != nil {
		return nil, err
	}
	if err := p.refuseUnsafe(spec); err != nil {
		return nil, err
	}
	info, err := p.infoFor(ctx, own)
	if err != nil {
		return nil, err
	}
	resources, refused := resourcesOf(spec.Resources, info)
	if refused != nil {
		return nil, refused
	}
	image, err := p.pin(ctx, spec.Image, spec.Digest)
	if err != nil {
		return nil, err
	}
	env := make([]string, 0, len(spec.Env))
	for _, v := range spec.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	initProcess := true
	out := &plan{
		spec: spec,
		config: &container.Config{
			Image:  image,
			Cmd:    spec.Command, // in the place of the image's CMD; its ENTRYPOINT stays
			Env:    env,
			User:   own.User,
			Labels: writeLabels(spec),
		},
		host: &container.HostConfig{
			Mounts:        mountsOf(spec.Mounts),
			NetworkMode:   container.NetworkMode(spec.Network),
			Resources:     resources,
			Runtime:       own.Runtime,
			CapDrop:       []string{"ALL"},
			CapAdd:        p.config.CapAdd,
			SecurityOpt:   []string{"no-new-privileges"},
			IpcMode:       container.IPCModePrivate,
			Init:          &initProcess,
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{
				"max-size": strconv.FormatInt(int64(p.config.Log.MaxSize), 10),
				"max-file": strconv.FormatInt(p.config.Log.MaxFiles, 10),
			}},
		},
	}
	if spec.Publish && spec.Port != 0 {
		inside := nat.Port(strconv.Itoa(spec.Port) + "/tcp")
		out.config.ExposedPorts = nat.PortSet{inside: {}}
		out.host.PortBindings = nat.PortMap{inside: {{HostIP: loopback, HostPort: "0"}}} // 0: the daemon picks
	}
	return out, nil
}

// infoFor returns what the daemon tells of itself, once it is known to have the
// runtime that own names.
func (p *Provider) infoFor(ctx context.Context, own SandboxConfig) (info system.Info, err error) {
	if info, err = p.daemon.knownInfo(ctx); err != nil {
		return info, err
	}
	refused := checkRuntime(own.Runtime, info)
	if refused == nil {
		return info, nil
	}
	// A runtime may have been added by a reload, which breaks no connection.
	if info, err = p.daemon.askInfo(ctx); err != nil {
		return info, err
	}
	if refused = checkRuntime(own.Runtime, info); refused != nil {
		return info, refused
	}
	return info, nil
}

// refuseUnsafe judges what needs no answer of the daemon.
func (p *Provider) refuseUnsafe(spec provider.Spec) error {
	invalid := func(format string, args ...any) error {
		return refusal(provider.InvalidArgument, "", "", "", fmt.Sprintf(format, args...))
	}
	if spec.Name == "" || spec.Owner == "" || spec.SessionID == "" || spec.ChatID == "" {
		return invalid("the spec must have name, owner, session id and chat id")
	}
	if spec.Port < 0 || spec.Port > 65535 {
		return invalid("port is %d; it must be from 0 to 65535", spec.Port)
	}
	if summary, remedy := checkNetwork(spec.Network, spec.Port, spec.Publish, p.config.Allow); summary != "" {
		return invalid("%s; %s", summary, remedy)
	}
	for _, m := range spec.Mounts {
		if summary, remedy := p.config.checkSource(m.Name, m.Source); summary != "" {
			return invalid("%s; %s", summary, remedy)
		}
	}
	for _, v := range spec.Env {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0) {
			return invalid("env: %q can't be the name of a variable, or its value holds a NUL", v.Name)
		}
	}
	return nil
}

// decodeSandbox reads the values of the sandbox schema; none is the zero value.
func decodeSandbox(values []byte) (SandboxConfig, error) {
	own, err := sdk.Decode[SandboxConfig](values)
	if err != nil {
		return own, &provider.Error{Class: provider.InvalidArgument, Message: "the template's config can't be read", Err: err}
	}
	return own, nil
}
