provider "docker" {
  config {
    pul = "never"
  }
}
