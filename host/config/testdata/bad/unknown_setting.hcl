provider "docker" {
}

template "default" {
  provider = "docker"
  imgae = "x"
}
