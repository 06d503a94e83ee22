provider "docker" {
}

template "default" {
  provider = "docker"
  port = 80
  ready {
    tcp  = true
    http = "/healthz"
  }
}
