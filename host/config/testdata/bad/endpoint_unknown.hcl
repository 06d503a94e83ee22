provider "docker" {
}

template "default" {
  provider = "docker"
  endpoint = "publish"
  port = 80
}
