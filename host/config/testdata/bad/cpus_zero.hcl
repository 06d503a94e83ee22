provider "docker" {
}

template "default" {
  provider = "docker"
  resources {
    cpus = 0
  }
}
