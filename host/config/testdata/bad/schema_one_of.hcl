provider "docker" {
  config {
    pull = "sometimes"
  }
}
