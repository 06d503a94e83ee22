provider "docker" {
}

template "default" {
  provider = "docker"
  limit {
    sessions = 1
  }
}
