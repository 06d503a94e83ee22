provider "docker" {
  config {
    pull    = ["never"]
    allow   = "host_network"
    labels  = ["a"]
    verbose = "loud"
  }
}
