provider "docker" {
  config {
    tokn = "hunter2-secret"
  }
}
