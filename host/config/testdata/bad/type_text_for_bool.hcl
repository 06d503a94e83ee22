provider "docker" {
  required = "yes"
}
