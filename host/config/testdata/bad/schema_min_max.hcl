provider "docker" {
  config {
    retries = 11
  }
}
