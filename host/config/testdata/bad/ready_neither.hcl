provider "docker" {
}

template "default" {
  provider = "docker"
  port = 80
  ready {
    timeout = "3s"
  }
}
