template "default" {
  provider = "docker"
}
