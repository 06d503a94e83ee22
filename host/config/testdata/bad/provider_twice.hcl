provider "docker" {
}

provider "docker" {
}
