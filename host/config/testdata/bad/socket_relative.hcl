control {
  socket = "berth.sock"
}
