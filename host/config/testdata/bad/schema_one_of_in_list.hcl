provider "docker" {
  config {
    allow = ["host_network", "docker_sock"]
  }
}
