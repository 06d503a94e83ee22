provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "chats/${session.chat_id}"
    target = "/workspace/chat"
  }
}
