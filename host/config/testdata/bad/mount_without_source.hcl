provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    target = "/workspace/chat"
  }
}
