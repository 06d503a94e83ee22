provider "docker" {
  sha256 = "abc123"
}
