provider "docker" {
}

template "default" {
  provider = "docker"
  endpoint = "published"
}
