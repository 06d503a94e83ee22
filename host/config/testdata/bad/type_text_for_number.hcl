provider "docker" {
}

template "default" {
  provider = "docker"
  port = "http"
}
