provider "docker" {
}

template "default" {
  provider = "docker"
  mount "a" {
    source = "/a"
    target = "/x"
  }
  mount "b" {
    source = "/b"
    target = "/x"
  }
}
