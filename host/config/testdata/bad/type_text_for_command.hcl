provider "docker" {
}

template "default" {
  provider = "docker"
  command = "sleep 1"
}
