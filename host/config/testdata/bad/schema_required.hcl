provider "docker" {
}

template "default" {
  provider = "docker"
  config {
    user = "1:1"
  }
}
