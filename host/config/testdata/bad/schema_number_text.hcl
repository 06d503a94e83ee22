provider "docker" {
  config {
    ratio = "much"
  }
}
