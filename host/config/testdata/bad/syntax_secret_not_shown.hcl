provider "docker" {
  config {
    token = "hunter2 is secret"" oops
  }
}
