provider "docker" {
}

template "default" {
  provider = "docker"
  image = "a\u0007b"
}
