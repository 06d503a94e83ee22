provider "docker" {
  env = { CHAT = session.chat_id }
}
