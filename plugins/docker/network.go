package docker

import (
	"fmt"
	"slices"
	"strings"
)

// The networks that Docker knows by name and that are unlike the others.
const (
	networkHost      = "host"
	networkNone      = "none"
	networkDefault   = "default"
	networkContainer = "container:"
)

// checkNetwork judges a template's network without asking the daemon. It returns what
// is wrong and the remedy, or two empty strings.
func checkNetwork(name string, port int, publish bool, allow []string) (summary, remedy string) {
	switch {
	case name == "":
		return "network is empty", `name a network that exists at the daemon, such as "bridge"`
	case name == networkDefault:
		return `network "default" has two names`, `write "bridge"`
	case strings.HasPrefix(name, networkContainer):
		return fmt.Sprintf("network %q is another container's", name),
			"a sandbox has a network of its own; name a network that exists at the daemon"
	case name == networkNone && port != 0:
		return fmt.Sprintf(`network "none" has no address for port %d`, port),
			"leave out port, or name another network"
	case name == networkHost && !slices.Contains(allow, allowHostNetwork):
		return `network "host" is refused: sandboxes would share the host's network`,
			`name another network, or let the operator write allow = ["host_network"] into the provider's config`
	case name == networkHost && publish:
		return `endpoint "published" can't be had on network "host"`, `write endpoint = "network"`
	}
	return "", ""
}
