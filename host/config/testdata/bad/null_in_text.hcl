provider "docker" {
}

template "default" {
  provider = "docker"
  image = "sandbox:${null}"
}
