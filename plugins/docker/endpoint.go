package docker

import (
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/berth-dev/berth/sdk/provider"
)

// loopback is the only address on which ports are published.
const loopback = "127.0.0.1"

// placement is what the daemon tells of a container's networks, by a list or by an
// inspect.
type placement struct {
	labels   map[string]string
	mode     string // the network mode it was made with
	networks map[string]*network.EndpointSettings
	bindings []binding
}

// binding is a published port.
type binding struct {
	ip     string
	port   int // on ip
	inside int // in the container
	proto  string
}

// placementOf reads an inspected container's placement.
func placementOf(c container.InspectResponse) placement {
	p := placement{labels: labelsOf(c)}
	if c.HostConfig != nil {
		p.mode = string(c.HostConfig.NetworkMode)
	}
	if c.NetworkSettings == nil {
		return p
	}
	p.networks = c.NetworkSettings.Networks
	for inside, hosts := range c.NetworkSettings.Ports {
		for _, h := range hosts {
			port, err := strconv.Atoi(h.HostPort)
			if err != nil {
				continue
			}
			p.bindings = append(p.bindings, binding{ip: h.HostIP, port: port, inside: inside.Int(), proto: inside.Proto()})
		}
	}
	return p
}

// endpoint is where port answers; nil when it answers nowhere.
func (p placement) endpoint(port int) *provider.Endpoint {
	switch {
	case p.labels[labelEndpoint] == endpointPublished:
		for _, b := range p.bindings {
			if b.inside == port && b.proto == "tcp" && b.ip == loopback && b.port != 0 {
				return &provider.Endpoint{IP: b.ip, Port: b.port}
			}
		}
		return nil
	case p.mode == networkHost:
		return &provider.Endpoint{IP: loopback, Port: port}
	}
	if ip := p.ip(); ip != "" {
		return &provider.Endpoint{IP: ip, Port: port}
	}
	return nil
}

// ip is the container's address on its sandbox network: the one that its label names.
// Sandboxes of other adapters have no such label; theirs is the only network, or the
// one that they were made with.
func (p placement) ip() string {
	name := p.labels[labelNetwork]
	if name == "" && len(p.networks) == 1 {
		for _, e := range p.networks {
			return ipOf(e)
		}
	}
	if name == "" {
		name = p.mode
	}
	if e := p.networks[name]; e != nil {
		return ipOf(e)
	}
	// The network was named by its id.
	for _, e := range p.networks {
		if e != nil && len(name) >= 12 && strings.HasPrefix(e.NetworkID, name) {
			return ipOf(e)
		}
	}
	return ""
}

func ipOf(e *network.EndpointSettings) string {
	if e == nil {
		return ""
	}
	return e.IPAddress
}
