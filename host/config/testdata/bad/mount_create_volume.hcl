provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = session.volume
    target = "/a"
    create = true
  }
}
