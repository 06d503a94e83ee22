provider "docker" {
  config {
    log {
      max_size = "10MB"
    }
  }
}
