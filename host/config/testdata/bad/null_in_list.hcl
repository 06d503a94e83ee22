provider "docker" {
}

template "default" {
  provider = "docker"
  command = ["run", null]
}
