provider "docker" {
}

template "default" {
  provider = "docker"
  image = "sandbox:${1 / 0}"
}
