provider "docker" {
}

template "default" {
  provider = "docker"
  port = 8000 % 0
}
