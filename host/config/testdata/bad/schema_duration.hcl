provider "docker" {
  config {
    timeout = "5"
  }
}
