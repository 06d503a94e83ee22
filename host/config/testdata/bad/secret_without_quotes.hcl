provider "docker" {
  config {
    token = hunter2
  }
}
