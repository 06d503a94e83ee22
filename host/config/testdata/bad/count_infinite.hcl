lifecycle {
  max_reaping = "inf"
}
