provider "docker" {
}

template "default" {
  provider = "docker"
  image    = "sandbox:latest"
  network  = "sandbox"

  config {
    runtime = "runc"
  }
}
