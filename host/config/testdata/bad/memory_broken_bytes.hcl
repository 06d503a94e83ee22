provider "docker" {
}

template "default" {
  provider = "docker"
  resources {
    memory = "1.0000001MiB"
  }
}
