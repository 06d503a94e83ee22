provider "docker" {
}

template "default" {
  provider = "docker"
  env = { S = session.id.x }
}
