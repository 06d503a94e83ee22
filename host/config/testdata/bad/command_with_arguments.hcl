provider "docker" {
  command = "/usr/bin/../bin/x"
}
