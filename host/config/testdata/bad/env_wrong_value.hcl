provider "docker" {
}

template "default" {
  provider = "docker"
  port = env("PORT_WORDS", 8000)
}
