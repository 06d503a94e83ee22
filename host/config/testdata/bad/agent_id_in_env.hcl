provider "docker" {
}

template "default" {
  provider = "docker"
  env = {
    LOG_LEVEL = "info"
    AGENT_ID  = "me"
  }
}
