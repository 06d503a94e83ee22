provider "docker" {
  env = { "" = "c" }
}
