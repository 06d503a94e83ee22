provider "docker" {
  config {
    token = "abc-123"

    log {
      max_size = "1.5MiB"
    }

    registry {
      host     = "a.example"
      password = "x"
    }

    registry {
      host = "b.example"
    }
  }
}
