provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/a"
    target = "/a"
    create = true
    mode   = 0700
  }
}
