provider "docker" "two" {
}
