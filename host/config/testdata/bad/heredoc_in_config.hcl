provider "docker" {
  config {
    token = <<EOT
hunter2
EOT
    pull  = ["never"]
  }
}
