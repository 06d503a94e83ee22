provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = session.volume == null ? null : "${session.volume}-data"
    target = "/workspace/chat"
  }
}
