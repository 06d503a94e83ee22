provider "docker" {
  config {
    log "a" {
    }
  }
}
