# What the unit, the image and the Compose file here run: Docker alone. The config.hcl at the
# root of the repository has every setting, with a comment; this is one to cut to size.
#
# The directories chats, dependencies, lambda-tools and volumes below BERTH_ROOT must
# exist, and so must the image and the network.

state_dir    = "${env("BERTH_ROOT", "/var/lib/berth")}/state"
volume_roots = ["${env("BERTH_ROOT", "/var/lib/berth")}/volumes"]

control {
  socket = "${env("BERTH_ROOT", "/var/lib/berth")}/berth.sock"
}

metrics {
  address = env("BERTH_METRICS", "127.0.0.1:9464")
}

provider "docker" {}

template "default" {
  provider = "docker"
  image    = env("BERTH_IMAGE", "sandbox:latest")
  network  = env("BERTH_NETWORK", "sandbox")
  port     = 8000
  env      = { LOG_LEVEL = "info" }

  limits {
    sessions           = 200
    sessions_per_agent = 20
  }

  mount "chat" {
    source = "${env("BERTH_ROOT", "/var/lib/berth")}/chats/${session.chat_id}"
    target = "/workspace/chat"
    create = true
  }
  mount "dependencies" {
    source    = "${env("BERTH_ROOT", "/var/lib/berth")}/dependencies"
    target    = "/workspace/dependencies"
    read_only = true
  }
  mount "lambda-tools" {
    source    = "${env("BERTH_ROOT", "/var/lib/berth")}/lambda-tools"
    target    = "/workspace/lambda-tools"
    read_only = true
  }
  mount "volume" {
    source = session.volume
    target = "/workspace/volume"
  }
  ready {
    tcp = true
  }
}
