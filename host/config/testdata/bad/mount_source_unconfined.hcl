provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/${session.agent_id}"
    target = "/workspace/chat"
  }
}
