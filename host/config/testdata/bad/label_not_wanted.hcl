control "a" {
}
