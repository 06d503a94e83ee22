provider "docker" {
  config {
    log {
    }
    log {
    }
  }
}
