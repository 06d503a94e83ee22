provider "docker" {
}

template "default" {
  provider = "docker"
  command = ["run", "--dir=${session.volume}"]
}
