provider "docker" {
}

template "default" {
  provider = "docker"
  limits {
    sessions           = 0
    sessions_per_agent = -1
  }
}
