provider "docker" {
}

template "default" {
  provider = "dokcer"
}
