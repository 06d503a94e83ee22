provider "docker" {
}

template "default" {
  provider = "docker"
  ttl = 300
}
