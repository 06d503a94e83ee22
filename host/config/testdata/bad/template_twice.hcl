provider "docker" {
}

template "default" {
  provider = "docker"
}

template "default" {
  provider = "docker"
}
