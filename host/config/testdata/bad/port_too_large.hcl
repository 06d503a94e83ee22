provider "docker" {
}

template "default" {
  provider = "docker"
  port = 70000
}
