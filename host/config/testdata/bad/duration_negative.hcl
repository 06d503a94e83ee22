lifecycle {
  stop_grace = "-1s"
}
