provider "docker" {
}

template "default" {
  provider = "docker"
  config {
    runtime = "runc"
    user    = "agent"
  }
}
