provider "docker" {
}

template "default" {
  provider = "docker"
  resources {
    memory = "512MB"
  }
}
