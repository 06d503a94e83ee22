# Berth's configuration, as a deployment would copy it.
#
# What is not set has the default that its comment tells. Settings that stand behind a
# "#" are examples. env("NAME", "default") reads the host's environment; without a
# default a missing variable is an error. Durations are written "90s", "5m" or "24h",
# sizes "512MiB" or "2GiB". `berth validate --config config.hcl` tells what is wrong,
# and where.
#
# There are two providers. Each stands for itself: take away the one that you do not use,
# with its template, since /readyz waits for both. Docker's template wants the directories
# chats, dependencies, lambda-tools and volumes below BERTH_ROOT, the image and the network;
# the one without Docker wants chats and agent.

# Where the host keeps leases, its owner id and verified plugins. One host at a time.
# Default: the user's state directory; for root, /var/lib/berth.
# At most 65 bytes long: the sockets of plugins are below it.
state_dir = "${env("BERTH_ROOT", "/var/lib/berth")}/state"

# The id on everything that this host makes. Default: made once, and kept in state_dir.
# owner = "berth-production-1"

# Where providers are looked for. Default: beside the host's binary.
# plugin_dir = "/usr/local/lib/berth"

# Only directories below these may be brought along as a request's volume. Default: none,
# and then a request with a volume is refused.
volume_roots = ["${env("BERTH_ROOT", "/var/lib/berth")}/volumes"]

# The host's API.
control {
  # A unix socket, with mode 0600. Default: berth.sock in state_dir.
  socket = "${env("BERTH_ROOT", "/var/lib/berth")}/berth.sock"
}

# /metrics, /healthz and /readyz. Without the block they are not served.
metrics {
  # Host and port. Keep it off outside interfaces: it has no access control.
  address = env("BERTH_METRICS", "127.0.0.1:9464")
}

# The engine. These are the defaults.
lifecycle {
  # How often the backend's list and the sessions are compared.
  sweep_interval = "60s"

  # How long a sandbox has for its end, after it was asked to stop or has expired.
  stop_grace = "10s"

  # How long a create may take, from the image to the first answer of the agent.
  create_timeout = "2m"

  # How long sandboxes live on that were found without their records.
  recovery_grace = "10m"

  # How long ended sessions can still be asked for.
  ended_retention = "1h"

  # The furthest that a deadline may lie ahead, when it is set or extended.
  max_ttl = "24h"

  # The longest that a session may live, extensions included. At least max_ttl.
  max_lifetime = "168h"

  # How many sessions there may be in all.
  max_sessions = 1000

  # How many creates run at once for each provider; further ones wait.
  max_creating = 8

  # How many sandboxes are torn down at once for each provider.
  max_reaping = 8
}

# A kind of runtime, and the plugin that serves it.
provider "docker" {
  # An absolute path, or the name of a file in plugin_dir. Default: berth-provider-<label>.
  command = "berth-provider-docker"

  # The plugin's SHA-256; a file with another is not started. Default: not checked.
  # sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

  # Whether the host ends when this provider can't be started or is misconfigured. A
  # daemon that is away never ends it. Default: false.
  required = false

  # Owners whose sandboxes are taken over; "unowned" for those without one. Default: none.
  # adopt = ["unowned"]

  # The identity of a backend that has taken the place of the one that holds the sessions.
  # Those of the old one then end as lost. Default: none.
  # accept_backend = "4cf2f8ee-9b3c-4a3e-8a4c-0a6a2c1f6a0b@/var/lib/docker"

  # More environment for the plugin, which gets PATH, HOME, DOCKER_* and OTEL_* anyway.
  # Default: none.
  # env = { DOCKER_HOST = "unix:///run/user/1000/docker.sock" }

  # The provider's own settings. These are all of Docker's.
  config {
    # When an image is pulled: "never"; "missing", when the daemon does not have it; or
    # "always": each create asks the registry for the newest, and fails as unavailable when
    # the registry is away. A registry sees the credentials that `docker login` has left in
    # $DOCKER_CONFIG or ~/.docker, by a credential helper too. Default: "missing".
    pull = "missing"

    # Linux capabilities that sandboxes keep; all others are dropped. Default: none.
    cap_add = []

    # What is refused unless it is named: "host_network", "docker_socket". Default: none.
    allow = []

    # How much of a sandbox's output the daemon keeps. These are the defaults.
    log {
      # The size of one file. At least "4KiB".
      max_size = "10MiB"

      # How many files there are, from 1 to 100. The oldest goes when a new one begins.
      max_file = 3
    }
  }
}

# Process trees of this machine, on Linux: no daemon, no image. plugins/process/README.md
# tells what they are kept from, and what not. The settings outside config are as above.
provider "process" {
  # The provider's own settings. These are all of process'.
  config {
    # Where sandboxes are recorded, and their output is kept. Not to be removed while
    # sandboxes run. Default: /var/lib/berth-process for root, else
    # ~/.local/state/berth-process.
    state_dir = "${env("BERTH_ROOT", "/var/lib/berth")}/process"

    # What sandboxes see of this machine, read only. Default: /usr, /bin, /sbin, /lib*, and
    # of /etc what the dynamic linker, TLS and the time zone need.
    # root = ["/usr", "/lib", "/lib64"]

    # The cgroup in which each sandbox gets its own, below /sys/fs/cgroup, or below each
    # controller there. Default: "berth".
    cgroup = "berth"

    # What is refused unless it is named: "docker_socket". Default: none.
    allow = []

    # How much of a sandbox's output is kept. These are the defaults.
    log {
      # The size of one file. At least "64KiB".
      max_size = "10MiB"

      # How many files there are, from 1 to 100. The oldest goes when a new one begins.
      max_file = 3
    }
  }
}

# A kind of sandbox. A session names one.
#
# In a mount's source, in env and in command, session.id, session.chat_id,
# session.agent_id, session.volume, session.created_at and session.expires_at may be used.
template "default" {
  # The provider block to use. Required.
  provider = "docker"

  # The image. Required for Docker.
  image = env("BERTH_IMAGE", "sandbox:latest")

  # The command and its arguments. Default: the image's.
  # command = ["/usr/local/bin/agent", "--session", session.id]

  # The Docker network to join. It must exist. Required for Docker.
  network = env("BERTH_NETWORK", "sandbox")

  # The port on which the agent answers in the sandbox. Default: none, and no endpoint.
  port = 8000

  # What callers get: "network", the sandbox's address in its network, or "published",
  # 127.0.0.1 and a port that the daemon picks. Default: "network".
  endpoint = "network"

  # How long a session lives when the request does not say. Default: "5m".
  ttl = "5m"

  # Environment of the sandbox. AGENT_ID is set by the host and can't be set here.
  env = { LOG_LEVEL = "info" }

  # How many sessions there may be of this template. Default of both: max_sessions alone.
  limits {
    # In all.
    sessions = 200

    # For one agent.
    sessions_per_agent = 20
  }

  # A host directory that the sandbox sees. Each chat has its own, made when it is missing.
  mount "chat" {
    # An absolute path. What a session puts into it stays below the directory before it.
    # The mount is left out when the source is null. Required.
    source = "${env("BERTH_ROOT", "/var/lib/berth")}/chats/${session.chat_id}"

    # Where the sandbox sees it. Required.
    target = "/workspace/chat"

    # Whether a missing source is made. Default: false, and then it is an error.
    create = true

    # To whom it is given, in numbers. Default: the image's user.
    # owner = "1000:1000"

    # Its permissions. Default: "0700".
    # mode = "0700"
  }

  # What all sandboxes share is read only.
  mount "dependencies" {
    source = "${env("BERTH_ROOT", "/var/lib/berth")}/dependencies"
    target = "/workspace/dependencies"

    # Default: false.
    read_only = true
  }

  mount "lambda-tools" {
    source    = "${env("BERTH_ROOT", "/var/lib/berth")}/lambda-tools"
    target    = "/workspace/lambda-tools"
    read_only = true
  }

  # The volume of the request, below one of volume_roots. Without one it is left out.
  mount "volume" {
    source = session.volume
    target = "/workspace/volume"
  }

  # Upper limits. These are the defaults.
  resources {
    memory = "512MiB"

    # Fractions are allowed.
    cpus = 1

    # Processes and threads.
    pids = 2048

    # "auto": no swap beyond memory, where the daemon can enforce it. "require": refused
    # where it can't.
    swap = "auto"
  }

  # When a sandbox counts as started. Without the block: when its command has run for a
  # moment (a quarter of a second on Docker).
  ready {
    # When its port accepts a connection,
    tcp = true

    # or when this path answers with 2xx. One of the two.
    # http = "/healthz"

    # How long that may take. Default: "30s".
    timeout = "30s"
  }

  # The provider's own settings for a sandbox. These are all of Docker's.
  config {
    # The OCI runtime, such as "runsc". It must exist at the daemon. Default: the daemon's.
    # runtime = "runc"

    # The user of the sandbox's process. Default: the image's.
    # user = "1000:1000"
  }
}

# A kind of sandbox without Docker. What is not set here is as above.
template "process" {
  provider = "process"

  # Required for process, which has no image to take it from.
  command = ["/opt/agent/agent"]

  # The agent listens here in its own network; callers get 127.0.0.1 and another port.
  port = 8000

  env = { LOG_LEVEL = "info" }

  # The agent, as it is on this machine.
  mount "agent" {
    source    = "${env("BERTH_ROOT", "/var/lib/berth")}/agent"
    target    = "/opt/agent"
    read_only = true
  }

  mount "chat" {
    source = "${env("BERTH_ROOT", "/var/lib/berth")}/chats/${session.chat_id}"
    target = "/workspace/chat"
    create = true
  }

  ready {
    tcp = true
  }

  # The provider's own settings for a sandbox. These are all of process'.
  config {
    # What this machine must be able to give: "standard", or "full": Landlock, and limits
    # on the sandbox as a whole, too. Default: "standard".
    isolation = "standard"

    # The user and group of the sandbox's processes, never 0. A host that is not root has
    # its own alone. Default: "65534:65534" for root, else the host's own.
    # user = "65534:65534"

    # The directory in which the command starts. Default: "/".
    # workdir = "/workspace/chat"

    # The size of each of /tmp and /dev/shm; both are in memory. Default: "64MiB".
    tmp_size = "64MiB"
  }
}
