provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/chat"
  }
}
