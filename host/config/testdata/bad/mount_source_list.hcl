provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = ["/a"]
    target = "/workspace/chat"
  }
}
