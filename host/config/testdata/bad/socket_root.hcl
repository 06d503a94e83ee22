control {
  socket = "/"
}
