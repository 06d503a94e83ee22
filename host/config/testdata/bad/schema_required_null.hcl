provider "docker" {
}

template "default" {
  provider = "docker"
  config {
    runtime = null
  }
}
