provider "docker" {
  config {
    timeout = "1ms"
  }
}
