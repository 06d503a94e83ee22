provider "docker" {
}

template "default" {
  provider = "docker"
  mount "a" {
    source = "/a"
    target = "/a"
  }
  mount "a" {
    source = "/b"
    target = "/b"
  }
}
