provider "docker" {
}

template "default" {
  provider = "docker"
  env = { A = null }
}
