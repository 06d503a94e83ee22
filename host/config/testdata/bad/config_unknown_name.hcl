provider "docker" {
  config {
    pull = never
  }
}
