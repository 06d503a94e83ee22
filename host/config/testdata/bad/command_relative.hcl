provider "docker" {
  command = "bin/berth-provider-docker"
}
