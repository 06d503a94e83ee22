provider "docker" {
  config {
    token = ["hunter2-secret"]
    pull  = "sometimes"
  }
}
