# What `make demo` runs on where no Docker daemon answers: process trees of this machine.

state_dir = "${env("BERTH_ROOT")}/state"

provider "process" {
  required = true # the demo has no other
  config {
    state_dir = "${env("BERTH_ROOT")}/process"
  }
}

template "default" {
  provider = "process"
  command  = ["/opt/agent/agent"]
  port     = 8000
  env      = { LOG_LEVEL = "info" }

  mount "agent" {
    source    = "${env("BERTH_ROOT")}/agent"
    target    = "/opt/agent"
    read_only = true
  }
  mount "chat" {
    source = "${env("BERTH_ROOT")}/chats/${session.chat_id}"
    target = "/workspace/chat"
    create = true
    owner  = env("BERTH_OWNER")
  }
  ready {
    tcp = true
  }
}
