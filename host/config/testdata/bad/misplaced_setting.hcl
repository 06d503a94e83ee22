provider "docker" {
}

template "default" {
  provider = "docker"
  memory   = "1GiB"
}
