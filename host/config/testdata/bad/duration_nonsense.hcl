lifecycle {
  create_timeout = "soon"
}
