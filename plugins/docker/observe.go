package docker

import (
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/sdk/provider"
)

// fromSummary makes a sandbox of a list's entry. The error says which label can't be
// read.
func fromSummary(c container.Summary) (provider.Sandbox, error) {
	s := provider.Sandbox{
		ID:        c.ID,
		State:     stateOf(c.State),
		CreatedAt: time.Unix(c.Created, 0).UTC(),
	}
	if len(c.Names) > 0 {
		s.Name = strings.TrimPrefix(c.Names[0], "/")
	}
	port, err := readLabels(c.Labels, &s)
	if err != nil {
		return s, err
	}
	if s.State == provider.StateRunning && port != 0 {
		place := placement{labels: c.Labels, mode: c.HostConfig.NetworkMode}
		if c.NetworkSettings != nil {
			place.networks = c.NetworkSettings.Networks
		}
		for _, b := range c.Ports {
			place.bindings = append(place.bindings, binding{
				ip: b.IP, port: int(b.PublicPort), inside: int(b.PrivatePort), proto: b.Type})
		}
		s.Endpoint = place.endpoint(port)
	}
	return s, nil
}

// fromInspect makes a sandbox of an inspected container. What can't be read of its
// labels is in Unreadable.
func fromInspect(c container.InspectResponse) provider.Sandbox {
	s := provider.Sandbox{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), State: provider.StateUnknown}
	if t, err := time.Parse(time.RFC3339Nano, c.Created); err == nil {
		s.CreatedAt = t.UTC()
	}
	if c.State != nil {
		s.State = stateOf(c.State.Status)
	}
	port, err := readLabels(labelsOf(c), &s)
	if err != nil {
		s.Unreadable = err.Error()
	}
	if s.State == provider.StateRunning && port != 0 {
		s.Endpoint = placementOf(c).endpoint(port)
	}
	s.Exit = exitOf(c)
	return s
}

// labelsOf returns an inspected container's labels.
func labelsOf(c container.InspectResponse) map[string]string {
	if c.Config == nil {
		return nil
	}
	return c.Config.Labels
}

// stateOf maps Docker's states. "restarting" and "removing" pass by themselves and
// prove no end; what Docker may add later is unknown too.
func stateOf(s container.ContainerState) provider.State {
	switch s {
	case container.StateCreated:
		return provider.StateCreated
	case container.StateRunning:
		return provider.StateRunning
	case container.StatePaused:
		return provider.StatePaused
	case container.StateExited, container.StateDead:
		return provider.StateExited
	default:
		return provider.StateUnknown
	}
}

// exitOf tells how an inspected container's process ended; nil when it has not, or
// never ran.
func exitOf(c container.InspectResponse) *provider.Exit {
	if c.State == nil || stateOf(c.State.Status) != provider.StateExited {
		return nil
	}
	exit := &provider.Exit{Code: c.State.ExitCode, OOMKilled: c.State.OOMKilled}
	if at, err := time.Parse(time.RFC3339Nano, c.State.FinishedAt); err == nil && at.Year() > 1 {
		exit.At = at.UTC()
	}
	return exit
}
