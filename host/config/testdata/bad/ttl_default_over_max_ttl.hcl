lifecycle {
  max_ttl = "1m"
}

provider "docker" {
}

template "default" {
  provider = "docker"
}
