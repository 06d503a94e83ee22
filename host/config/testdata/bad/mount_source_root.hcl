provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/"
    target = "/workspace/chat"
  }
}
