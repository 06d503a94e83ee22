lifecycle {
  sweep_interval = "0s"
}
