provider "docker" {
}

template "default" {
  provider = "docker"
  port = 1e999999
}
