provider "docker" {
}

template "default" {
  provider = "docker"
  resources {
    swap = "off"
  }
}
