provider "docker" {
  adopt = ["unowned", "not an owner"]
}
