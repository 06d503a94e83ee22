provider "docker" {
  config {
    log {
      max_size = "3GiB"
    }
  }
}
