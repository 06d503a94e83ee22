provider "a" {
  command = "/opt/berth/a"
}

provider "b" {
  accept_backend = "some backend"
  adopt          = ["unowned", "other-host"]
}
