provider "docker" {
}

template "default" {
  provider = "docker"
  ready {
    tcp = true
  }
}
