provider "docker" {
}

template "default" {
  provider = "docker"
  resources {
    pids = -1
  }
}
