provider "my docker" {
}
