provider "docker" {
  config {
  }
  config {
  }
}
