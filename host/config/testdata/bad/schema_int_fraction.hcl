provider "docker" {
  config {
    retries = 1.5
  }
}
