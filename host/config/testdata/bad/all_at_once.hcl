state_dir = "berth"
max_ttl   = "1h"

lifecycle {
  max_sessions = 0
  sweep        = "1s"
}

provider "docker" {
  sha256 = "x"
}

template "default" {
  provider = "podman"
  port     = 0
  env      = { AGENT_ID = "me" }

  mount "chat" {
    source = "/srv/${session.chat}"
    target = "chat"
  }
}
