provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/a"
    target = "/a"
    owner  = "1000:1000"
    mode   = "0755"
  }
}
