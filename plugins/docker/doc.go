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
// is, as for Docker's own client; the API version is negotiated, from 1.41 to 1.51, which
// engines from 20.10 on speak, current ones too. The daemon need not be there when the
// provider opens. While it is away each verb fails as Unavailable with the reason; once it
// is back they work again.
//
// # Images
//
// pull says when Prepare pulls an image: "never"; "missing", when the daemon does not have
// it; "always", each time, so that a tag that was moved is followed. Callers that want the
// same image at once share one pull. An image's id can't be pulled. A sandbox is made from the
// id of the image that was prepared, whatever its name means by then. The digest that is told
// is the repository's where there is one; with containerd's image store it is the id as well.
//
// A registry is shown what Docker's own client would show it: the credentials in
// config.json under DOCKER_CONFIG or ~/.docker, from auths, credHelpers or credsStore. The
// file is read for each pull. Helpers must be on the plugin's PATH and see its environment:
// PATH, HOME, DOCKER_*, OTEL_*, and what the provider's block adds. Credentials go to the
// daemon with the pull and nowhere else. A pull that fails is
//
//   - NotFound: the registry has no such image, or hides it from these credentials;
//   - InvalidArgument: it lets nobody in with these, or the file or its helper can't be used;
//   - Unavailable: the daemon can't reach it, or a helper does not answer;
//   - Exhausted: it wants no more pulls for now.
//
// With "always" none of them falls back on an older image. How far a pull is, is in the log
// and among the events.
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
