// Package docker is Berth's provider for Docker: a sandbox is a container.
//
// # What it keeps
//
// Nothing that matters. All that is known of a sandbox is written on the container, as
// labels, when it is made; see labels.go for their keys. A plugin that was killed is
// replaced by a new one, which lists.
//
// # The daemon
//
// DOCKER_HOST, DOCKER_API_VERSION, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY say where it
// is, as for Docker's own client; the API version is negotiated, from 1.41 on. The
// daemon need not be there when the provider opens. While it is away each verb fails
// as Unavailable with the reason; once it is back they work again.
//
// # How a sandbox is confined
//
// Every capability is dropped but those in cap_add; no-new-privileges is set; Docker's
// seccomp and AppArmor profiles stay. Memory, CPU and pids are limited, and swap where
// the daemon can. Docker's init is PID 1 and reaps zombies. Logs are capped. There is
// no restart policy, no automatic removal, no privileged mode, and no setting for any
// of those. A mount that is or contains the daemon's socket, and the host's network,
// are refused unless the operator allows them.
//
// # Networks
//
// A sandbox joins exactly one network, which must exist. "bridge" and the operator's
// own networks are as usual. "none" is for sandboxes without a port. "host" wants
// allow = ["host_network"]; the endpoint is then 127.0.0.1. "container:…" is refused:
// it would tie one sandbox's life to another's.
//
// # Publishing
//
// A published endpoint is a port on 127.0.0.1 of the daemon's machine, picked by the
// daemon: it is of use where the host runs on that machine.
package docker
