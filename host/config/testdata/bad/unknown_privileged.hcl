provider "docker" {
}

template "default" {
  provider = "docker"
  privileged = true
}
