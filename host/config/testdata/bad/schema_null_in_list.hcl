provider "docker" {
  config {
    allow = ["host_network", null]
  }
}
