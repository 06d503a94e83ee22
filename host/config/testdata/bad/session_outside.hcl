provider "docker" {
}

template "default" {
  provider = "docker"
  image = "sandbox:${session.agent_id}"
}
