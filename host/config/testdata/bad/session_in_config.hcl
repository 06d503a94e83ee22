provider "docker" {
}

template "default" {
  provider = "docker"
  config {
    user = session.agent_id
  }
}
