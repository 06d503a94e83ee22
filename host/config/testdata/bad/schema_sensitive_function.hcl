provider "docker" {
  config {
    token = env("BERTH_TOKEN_NOT_SET")
  }
}
