provider "docker" {
  required = env("REQUIRED", true)

  config {
    verbose = env("VERBOSE", "false")
    retries = env("RETRIES", 4) + 1
  }
}

template "default" {
  provider = "docker"
  port     = env("PORT", 8000)

  config {
    runtime = env("RUNTIME", "runc")
  }
}
