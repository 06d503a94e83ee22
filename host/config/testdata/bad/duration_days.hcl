lifecycle {
  max_lifetime = "7d"
}
