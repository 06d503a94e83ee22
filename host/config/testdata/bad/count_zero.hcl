lifecycle {
  max_sessions = 0
}
