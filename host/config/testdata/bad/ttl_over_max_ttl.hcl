lifecycle {
  max_ttl = "1h"
}

provider "docker" {
}

template "default" {
  provider = "docker"
  ttl = "90m"
}
