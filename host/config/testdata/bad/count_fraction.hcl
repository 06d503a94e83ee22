lifecycle {
  max_creating = 1.5
}
