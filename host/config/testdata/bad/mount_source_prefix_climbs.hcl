provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/../etc/${session.chat_id}"
    target = "/workspace/chat"
  }
}
