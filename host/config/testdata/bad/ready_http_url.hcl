provider "docker" {
}

template "default" {
  provider = "docker"
  port = 80
  ready {
    http = "http://localhost/healthz"
  }
}
