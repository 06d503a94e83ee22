provider "docker" {
}

template "default" {
  provider = "docker"
  mount "chat" {
    source = "/srv/chats/${session.chatid}"
    target = "/workspace/chat"
  }
}
