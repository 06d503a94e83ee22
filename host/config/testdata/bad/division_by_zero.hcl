lifecycle {
  max_sessions = 1 / 0
}
