provider "docker" {
}

template "default" {
  provider = "docker"
  env = { S = sesion.id }
}
