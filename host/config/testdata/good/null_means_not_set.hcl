owner = env("BERTH_OWNER", null)

provider "docker" {
  sha256 = null

  config {
    pull = null
  }
}

template "default" {
  provider = "docker"
  port     = env("NO_PORT", null)

  mount "tools" {
    source = env("TOOLS", null)
    target = "/tools"
  }

  config {
    runtime = "runc"
  }
}
