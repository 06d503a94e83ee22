provider "docker" {
  config {
    logs {
      max_size = "1MiB"
    }
  }
}
