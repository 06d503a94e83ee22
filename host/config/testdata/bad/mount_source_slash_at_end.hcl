provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/chats/${session.chat_id}/"
    target = "/workspace/chat"
  }
}
