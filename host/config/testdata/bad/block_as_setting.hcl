provider "docker" {
}

template "default" {
  provider = "docker"
  limits = { sessions = 1 }
}
