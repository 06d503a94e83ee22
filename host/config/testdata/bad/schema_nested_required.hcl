provider "docker" {
  config {
    registry {
      password = "hunter2"
    }
  }
}
